package httpapi

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
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

// problemOf is the only place where an error becomes a status.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*sessionstore.ArgumentError](err); ok {
		return invalidMember("/"+strings.ReplaceAll(e.Field, ".", "/")+e.Member, sentence(e.Problem))
	}
	if e, ok := errors.AsType[*sessionstore.ConflictError](err); ok {
		return &problem{code: codeChecksumMismatch, etag: etagOf(e.Checksum)}
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &problem{code: codeBodyTooLarge, detail: "The limit is " + strconv.FormatInt(e.Limit, 10) + " bytes."}
	}
	if errors.Is(err, sessionstore.ErrScope) {
		return &problem{code: codeInvalidScope} // RFC 6749 §6: no more than was granted
	}
	if errors.Is(err, sessionstore.ErrResource) {
		return &problem{code: codeInvalidTarget} // RFC 8707 §2
	}
	if errors.Is(err, sessionstore.ErrProofRequired) {
		return &problem{code: codeInvalidProof, reason: "no_proof", detail: "The client needs one."} // RFC 9449 §5.2
	}
	switch {
	case errors.Is(err, sessionstore.ErrUnavailable), errors.Is(err, verifier.ErrUnavailable),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &problem{code: codeUnavailable, cause: err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &problem{code: codeRequestTimeout}
	case errors.Is(err, sessionstore.ErrNotFound):
		return &problem{code: codeSessionNotFound}
	case errors.Is(err, sessionstore.ErrEnded):
		return &problem{code: codeSessionEnded}
	case errors.Is(err, sessionstore.ErrNotReplaceable):
		return &problem{code: codeNotReplaceable, pointer: "/replaces"}
	case errors.Is(err, sessionstore.ErrIdempotencyKeyReused):
		return &problem{code: codeIdempotencyKeyReused}
	case errors.Is(err, sessionstore.ErrTooManySessions):
		return &problem{code: codeTooManySessions}
	}
	return &problem{code: codeInternal, cause: err}
}

// refusedToken turns every state in which an access token is not accepted into the
// same 401. Any other error, such as an outage, stays unchanged.
func refusedToken(err error) error {
	if reason := refusal(err); reason != "" {
		return &problem{code: codeInvalidToken, reason: reason}
	}
	return err
}

// refusedGrant turns every state in which a refresh token is not accepted into the
// same invalid_grant: a thief must not learn which one it was.
func refusedGrant(err error) error {
	if reason := refusal(err); reason != "" {
		return &problem{code: codeInvalidGrant, reason: reason}
	}
	return err
}

// refusal says in one word for the log why a token is not accepted. It is empty if
// the error is not about the token.
func refusal(err error) string {
	if err == nil {
		return ""
	}
	for _, state := range []struct {
		err    error
		reason string
	}{
		{sessionstore.ErrUnavailable, ""}, // first: an outage is never about the token
		{verifier.ErrUnavailable, ""},
		{sessionstore.ErrReuse, "reuse"},
		{sessionstore.ErrNotProven, "not_proven"},
		{sessionstore.ErrOtherClient, "other_client"}, // RFC 6749 §5.2
		{tokens.ErrExpired, "expired"},                // before ended, which its session may also be
		{sessionstore.ErrEnded, "ended"},
		{verifier.ErrRevoked, "ended"},
		{sessionstore.ErrSuperseded, "superseded"},
		{sessionstore.ErrNotFound, "not_found"},
		{tokens.ErrWrongType, "wrong_type"},
		{tokens.ErrTooLarge, "too_large"},
		{tokens.ErrUnknownKey, "unknown_key"},
		{tokens.ErrWrongIssuer, "wrong_issuer"},
		{tokens.ErrWrongAudience, "wrong_audience"},
		{tokens.ErrInvalid, "invalid"},
	} {
		if errors.Is(err, state.err) {
			return state.reason
		}
	}
	return ""
}

func invalidMember(pointer, detail string) *problem {
	return &problem{code: codeInvalidMember, pointer: cut(pointer), detail: detail}
}

func invalidParameter(name, detail string) *problem {
	return &problem{code: codeInvalidParameter, parameter: name, detail: detail}
}

// inQuery says that an error is about an argument in the query.
func inQuery(err error) error {
	if e, ok := errors.AsType[*sessionstore.ArgumentError](err); ok {
		return invalidParameter(e.Field, sentence(e.Problem))
	}
	return err
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

// problemDocument is the RFC 9457 form.
type problemDocument struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitzero"`
	Code      code   `json:"code"`
	Pointer   string `json:"pointer,omitzero"`
	Parameter string `json:"parameter,omitzero"`
	RequestID string `json:"request_id"`
}

// oauthError is the RFC 6749 §5.2 form.
type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// fail answers with the problem for an error.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	p, info := problemOf(err), infoOf(r)
	// The time limit gives a different error: only the client cancels its request.
	if p.code == codeUnavailable && errors.Is(r.Context().Err(), context.Canceled) {
		p = &problem{code: codeClientClosedRequest}
	}
	info.problem = p
	kind := kinds[p.code]
	kind.status = statusOf(r, p.code)
	h := w.Header()
	switch {
	case kind.status == http.StatusUnauthorized && (isAboutProof(p.code) || p.wantsProof): // RFC 9449 §7.1
		h.Set("WWW-Authenticate", dpop.Challenge(realm, kind.oauth))
	case p.code == codeInvalidClient:
		h.Set("WWW-Authenticate", basicChallenge) // RFC 6749 §5.2
	case isBearerRequest(r, p):
		h.Set("WWW-Authenticate", `Bearer realm="`+realm+`", error="invalid_request"`) // RFC 6750 §3.1
	case kind.status == http.StatusUnauthorized:
		challenge := `Bearer realm="` + realm + `"`
		if p.code == codeInvalidToken || p.code == codeInvalidServiceKey {
			challenge += `, error="invalid_token"` // RFC 6750 §3: only if a credential was presented
		}
		h.Set("WWW-Authenticate", challenge)
		if p.code == codeMissingToken {
			h.Add("WWW-Authenticate", dpop.Challenge(realm, "")) // RFC 9449 §7.2: either will do
		}
		if p.code == codeMissingServiceKey && isOAuth(r) {
			h.Add("WWW-Authenticate", basicChallenge)
		}
	case p.code == codeInsufficientScope:
		h.Set("WWW-Authenticate", `Bearer realm="`+realm+`", error="insufficient_scope"`) // RFC 6750 §3.1
	case p.code == codeMissingRight:
		h.Set("WWW-Authenticate", `Bearer realm="`+realm+`", error="insufficient_scope", scope="`+string(p.right)+`"`)
	case kind.status == http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	if p.etag != "" {
		h.Set("ETag", p.etag)
	}
	var document any = problemDocument{
		Type: problemTypes + string(p.code), Title: kind.title, Status: kind.status, Detail: p.detail,
		Code: p.code, Pointer: p.pointer, Parameter: p.parameter, RequestID: info.id,
	}
	mediaType := "application/problem+json"
	if isOAuth(r) {
		document = oauthError{Error: kind.oauth, Description: describe(kind.title, p)}
		mediaType = "application/json"
	}
	body, err := json.Marshal(document)
	if err != nil {
		panic(err) // only strings and numbers, made valid on input
	}
	writeBody(w, kind.status, mediaType, noStore, body)
}

// isOAuth reports whether the errors of a route have the form of RFC 6749. Behind [anywhere] the path is
// the route's, whatever the handler is mounted at.
func isOAuth(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/oauth2/") }

// isBearerRequest reports whether a request is at fault in how it presents its
// token: in the URL, or in several ways at once.
func isBearerRequest(r *http.Request, p *problem) bool {
	return strings.HasPrefix(r.URL.Path, "/v1/") && p.code == codeTokenInQuery ||
		p.code == codeDuplicateParameter && p.parameter == "Authorization"
}

// describe limits a text to the characters of RFC 6749 §5.2.
func describe(title string, p *problem) string {
	s := title
	if p.parameter != "" {
		s = strings.TrimSuffix(title, ".") + ": " + p.parameter + "."
	}
	if p.detail != "" {
		s += " " + p.detail
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return '\''
		}
		return c
	}, s)
}
