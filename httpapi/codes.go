package httpapi

import (
	"net/http"
	"strings"

	"github.com/latchkey-sessions/latchkey/dpop"
)

const (
	problemTypes = "https://github.com/latchkey-sessions/latchkey/blob/main/httpapi/problems.md#"
	realm        = "latchkey"
	// retryAfter is in seconds: long enough not to hammer a database that is
	// starting, short enough that it hardly prolongs a failover.
	retryAfter = 2
	// basicChallenge is the challenge for a client that authenticates itself.
	basicChallenge = `Basic realm="` + realm + `"`
	// maxNameBytes limits how much of a caller's own names is repeated.
	maxNameBytes = 200
)

// statusClientClosedRequest is nginx's, for the log and for metrics: it can no
// longer be sent to anyone. A client that hangs up says nothing about the service.
const statusClientClosedRequest = 499

// code identifies a kind of problem forever: clients switch on it.
type code string

const (
	codeBodyTooLarge         code = "body_too_large"
	codeChecksumMismatch     code = "checksum_mismatch"
	codeClientClosedRequest  code = "client_closed_request"
	codeDuplicateMember      code = "duplicate_member"
	codeDuplicateParameter   code = "duplicate_parameter"
	codeIdempotencyKeyReused code = "idempotency_key_reused"
	codeInsufficientScope    code = "insufficient_scope"
	codeInternal             code = "internal_error"
	codeInvalidClient        code = "invalid_client"
	codeInvalidGrant         code = "invalid_grant"
	codeInvalidMember        code = "invalid_member"
	codeInvalidParameter     code = "invalid_parameter"
	codeInvalidProof         code = "invalid_dpop_proof"
	codeInvalidScope         code = "invalid_scope"
	codeInvalidServiceKey    code = "invalid_service_key"
	codeInvalidTarget        code = "invalid_target"
	codeInvalidToken         code = "invalid_token"
	codeMalformedBody        code = "malformed_body"
	codeMethodNotAllowed     code = "method_not_allowed"
	codeMissingRight         code = "missing_right"
	codeMissingServiceKey    code = "missing_service_key"
	codeMissingToken         code = "missing_token"
	codeNotReplaceable       code = "not_replaceable"
	codePreconditionRequired code = "precondition_required"
	codeRateLimited          code = "rate_limited"
	codeRequestTimeout       code = "request_timeout"
	codeRouteNotFound        code = "route_not_found"
	codeSessionEnded         code = "session_ended"
	codeSessionNotFound      code = "session_not_found"
	codeSubjectNotFound      code = "subject_not_found"
	codeTokenInQuery         code = "token_in_query"
	codeTooManySessions      code = "too_many_sessions"
	codeUnavailable          code = "unavailable"
	codeUnknownClient        code = "unknown_client"
	codeUnknownMember        code = "unknown_member"
	codeUnknownParameter     code = "unknown_parameter"
	codeUnsupportedGrantType code = "unsupported_grant_type"
	codeUnsupportedMediaType code = "unsupported_media_type"
	codeUseNonce             code = "use_dpop_nonce"
	codeWrongAudience        code = "wrong_audience"
)

// kinds gives each code its status, its title, and the error that represents
// it below /oauth2/ (RFC 6749 §5.2, RFC 6750 §3.1).
var kinds = map[code]struct {
	status int
	oauth  string
	title  string
}{
	codeBodyTooLarge:         {http.StatusRequestEntityTooLarge, "invalid_request", "The body is larger than this route takes."},
	codeChecksumMismatch:     {http.StatusPreconditionFailed, "invalid_request", "It has changed since it was read."},
	codeClientClosedRequest:  {statusClientClosedRequest, "invalid_request", "The client closed the connection before the answer."},
	codeDuplicateMember:      {http.StatusBadRequest, "invalid_request", "The body has a member twice."},
	codeDuplicateParameter:   {http.StatusBadRequest, "invalid_request", "A parameter occurs more than once."},
	codeIdempotencyKeyReused: {http.StatusUnprocessableEntity, "invalid_request", "The Idempotency-Key belongs to another request."},
	codeInsufficientScope:    {http.StatusForbidden, "invalid_scope", "The access token does not have the scope that is required."},
	codeInternal:             {http.StatusInternalServerError, "server_error", "The service has an internal error."},
	codeInvalidClient:        {http.StatusUnauthorized, "invalid_client", "The client authentication is not accepted."},
	codeInvalidGrant:         {http.StatusBadRequest, "invalid_grant", "The refresh token is not accepted."},
	codeInvalidProof:         {http.StatusUnauthorized, dpop.CodeInvalidProof, "The DPoP proof is not accepted."},
	codeInvalidMember:        {http.StatusBadRequest, "invalid_request", "A member of the body is not acceptable."},
	codeInvalidParameter:     {http.StatusBadRequest, "invalid_request", "A parameter is not acceptable."},
	codeInvalidScope:         {http.StatusBadRequest, "invalid_scope", "It exceeds the scope of the session. Ask for that, for less, or for none."},
	codeInvalidServiceKey:    {http.StatusUnauthorized, "invalid_token", "The service key is not accepted."},
	codeInvalidTarget:        {http.StatusBadRequest, "invalid_target", "The session is not for this resource. Ask for those of its audiences, or for none."},
	codeInvalidToken:         {http.StatusUnauthorized, "invalid_token", "The access token is not accepted."},
	codeMalformedBody:        {http.StatusBadRequest, "invalid_request", "The body cannot be read."},
	codeMethodNotAllowed:     {http.StatusMethodNotAllowed, "invalid_request", "This route does not have this method."},
	codeMissingRight:         {http.StatusForbidden, "unauthorized_client", "The service key lacks a right."},
	codeMissingServiceKey:    {http.StatusUnauthorized, "invalid_client", "A service key is required."},
	codeMissingToken:         {http.StatusUnauthorized, "invalid_request", "An access token is required."},
	codeNotReplaceable:       {http.StatusConflict, "invalid_request", "The session to be replaced has ended or does not exist."},
	codePreconditionRequired: {http.StatusPreconditionRequired, "invalid_request", "If-Match is required."},
	codeRateLimited:          {http.StatusTooManyRequests, "temporarily_unavailable", "There were too many requests."},
	codeRequestTimeout:       {http.StatusRequestTimeout, "invalid_request", "The request did not arrive in time."},
	codeRouteNotFound:        {http.StatusNotFound, "invalid_request", "There is no such route."},
	codeSessionEnded:         {http.StatusConflict, "invalid_request", "The session has ended."},
	codeSessionNotFound:      {http.StatusNotFound, "invalid_request", "There is no such session."},
	codeSubjectNotFound:      {http.StatusNotFound, "invalid_request", "No session of this subject is known."},
	codeTokenInQuery:         {http.StatusBadRequest, "invalid_request", "A token does not belong in a URL."},
	codeTooManySessions:      {http.StatusConflict, "invalid_request", "The subject has reached its limit of sessions."},
	codeUnavailable:          {http.StatusServiceUnavailable, "temporarily_unavailable", "The service is unavailable at the moment."},
	codeUnknownClient:        {http.StatusBadRequest, "invalid_client", "The client is not known."},
	codeUnknownMember:        {http.StatusBadRequest, "invalid_request", "The body has a member that this route does not know."},
	codeUnknownParameter:     {http.StatusBadRequest, "invalid_request", "The route does not know a parameter."},
	codeUnsupportedGrantType: {http.StatusBadRequest, "unsupported_grant_type", "The grant_type must be refresh_token."},
	codeUseNonce:             {http.StatusUnauthorized, dpop.CodeUseNonce, "The DPoP proof needs the nonce of the DPoP-Nonce header."},
	codeWrongAudience:        {http.StatusForbidden, "invalid_token", "The access token is for another audience."},
	codeUnsupportedMediaType: {http.StatusUnsupportedMediaType, "invalid_request", "The body has the wrong media type."},
}

// problem is a failure as its client sees it, and as the log records it. Neither is
// derived from the other.
type problem struct {
	code code
	// detail, pointer and parameter are for the client.
	detail    string
	pointer   string // JSON pointer to a member of the body
	parameter string // name of a query parameter or header
	etag      string // the header, if the present version helps
	right     Right  // that the service key lacks
	// wantsProof says that a token should be presented with a proof.
	wantsProof bool
	// reason and cause are for the log. reason is one of a fixed set of words.
	reason string
	cause  error
}

func (p *problem) Error() string { return string(p.code) }

func (p *problem) Unwrap() error { return p.cause }

func invalidMember(pointer, detail string) *problem {
	return &problem{code: codeInvalidMember, pointer: cut(pointer), detail: detail}
}

func invalidParameter(name, detail string) *problem {
	return &problem{code: codeInvalidParameter, parameter: name, detail: detail}
}

// sentence turns the store's message about an argument into a sentence.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

func cut(name string) string {
	if len(name) > maxNameBytes {
		return strings.ToValidUTF8(name[:maxNameBytes], "") + "…"
	}
	return name
}
