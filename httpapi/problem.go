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

// inQuery says that an error is about an argument in the query.
func inQuery(err error) error {
	if e, ok := errors.AsType[*sessionstore.ArgumentError](err); ok {
		return invalidParameter(e.Field, sentence(e.Problem))
	}
	return err
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

// statusOf is the status of a problem: at the token endpoint a bad proof makes a
// bad request (RFC 9449 §5), elsewhere it fails authentication (§7.1).
func statusOf(r *http.Request, c code) int {
	if isOAuth(r) && isAboutProof(c) {
		return http.StatusBadRequest
	}
	return kinds[c].status
}

func isAboutProof(c code) bool { return c == codeInvalidProof || c == codeUseNonce }

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
