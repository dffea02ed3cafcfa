package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// codes of problem documents; the others exist below /oauth2/ only.
func codes() []string {
	var names []string
	for c := range kinds {
		if !slices.Contains([]code{codeInvalidClient, codeInvalidGrant, codeInvalidScope, codeInvalidTarget, codeUnknownClient, codeUnsupportedGrantType}, c) {
			names = append(names, string(c))
		}
	}
	slices.Sort(names)
	return names
}

func TestEveryCodeIsDescribed(t *testing.T) {
	t.Parallel()
	var doc struct {
		Components struct {
			Schemas struct {
				Problem struct {
					Properties struct {
						Code struct {
							Enum []string `yaml:"enum"`
						} `yaml:"code"`
					} `yaml:"properties"`
				} `yaml:"Problem"`
				OAuthError struct {
					Properties struct {
						Error struct {
							Enum []string `yaml:"enum"`
						} `yaml:"error"`
					} `yaml:"properties"`
				} `yaml:"OAuthError"`
			} `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(description, &doc); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(codes(), doc.Components.Schemas.Problem.Properties.Code.Enum); diff != "" {
		t.Errorf("codes (-) and openapi.yaml (+):\n%s", diff)
	}
	for _, kind := range kinds {
		if !slices.Contains(doc.Components.Schemas.OAuthError.Properties.Error.Enum, kind.oauth) {
			t.Errorf("openapi.yaml has no OAuth error %q", kind.oauth)
		}
	}

	text, err := os.ReadFile("problems.md")
	if err != nil {
		t.Fatal(err)
	}
	var headings []string
	for _, m := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllSubmatch(text, -1) {
		headings = append(headings, string(m[1]))
	}
	if diff := cmp.Diff(codes(), headings); diff != "" {
		t.Errorf("codes (-) and problems.md (+):\n%s", diff)
	}
}

// failing answers a request with a handler that fails.
func failing(t *testing.T, path string, h handler) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	s := &Server{logger: slog.New(slog.NewTextHandler(&log, nil))}
	r := s.router("public")
	r.Get("/{way}/{secret}", handle(h))
	w := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	request.Header.Set(requestIDHeader, "golden")
	anywhere{r}.ServeHTTP(w, request)
	return w, log.String()
}

func TestUnexpectedErrorsAreBare500s(t *testing.T) {
	t.Parallel()
	const (
		secret   = "the-secret-thing"
		document = `{"type":"` + problemTypes + `internal_error","title":"The service has an internal error.","status":500,"code":"internal_error","request_id":"golden"}`
		oauth    = `{"error":"server_error","error_description":"The service has an internal error."}`
	)
	var nothing *http.Request
	for name, h := range map[string]handler{
		"error":         func(http.ResponseWriter, *http.Request) error { return errors.New("cause") },
		"panic":         func(http.ResponseWriter, *http.Request) error { panic(secret) },
		"runtime error": func(http.ResponseWriter, *http.Request) error { _ = nothing.Method; return nil },
	} {
		for path, want := range map[string]string{"/v1/" + secret: document, "/oauth2/" + secret: oauth} {
			w, log := failing(t, path, h)
			if w.Code != http.StatusInternalServerError || w.Body.String() != want {
				t.Errorf("%s at %s: %d %s, want %s", name, path, w.Code, w.Body, want)
			}
			// Security 21: the event is in the log, but neither the panic's value nor the
			// request.
			if strings.Contains(log, secret) || !strings.Contains(log, "request_id=golden") || !strings.Contains(log, "level=ERROR") {
				t.Errorf("%s at %s: log %s", name, path, log)
			}
		}
	}
}

// An answer that was begun must not look complete when its handler panics.
func TestPanicAfterTheAnswerBegan(t *testing.T) {
	t.Parallel()
	defer func() {
		if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // the very value
			t.Errorf("recovered %v, want http.ErrAbortHandler", v)
		}
	}()
	failing(t, "/v1/x", func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		panic("late")
	})
	t.Error("the connection was not broken off")
}

// RFC 6749 §5.2 allows error_description few characters.
func TestErrorDescriptionsAreSafe(t *testing.T) {
	t.Parallel()
	got := describe("Title.", &problem{parameter: "a\"b", detail: "c\\d\ne–f~\x7f"})
	if want := "Title: a'b. c'd'e'f~'"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The status and headers of an answer, in addition to its body.
func TestProblemsByRoute(t *testing.T) {
	t.Parallel()
	type answer struct {
		status int
		header http.Header
	}
	bearer := func(more string) string { return `Bearer realm="latchkey"` + more }
	challenge := func(values ...string) http.Header { return http.Header{"Www-Authenticate": values} }
	none := http.Header{}
	for _, test := range []struct {
		path string
		problem
		want answer
	}{
		{"/v1/x", problem{code: codeInvalidProof}, answer{401, challenge(dpop.Challenge("latchkey", "invalid_dpop_proof"))}},
		{"/oauth2/x", problem{code: codeInvalidProof}, answer{400, none}},
		{"/v1/x", problem{code: codeUseNonce}, answer{401, challenge(dpop.Challenge("latchkey", "use_dpop_nonce"))}},
		{"/oauth2/x", problem{code: codeUseNonce}, answer{400, none}},
		{"/v1/x", problem{code: codeInvalidToken, wantsProof: true}, answer{401, challenge(dpop.Challenge("latchkey", "invalid_token"))}},
		{"/v1/x", problem{code: codeInvalidToken}, answer{401, challenge(bearer(`, error="invalid_token"`))}},
		{"/v1/x", problem{code: codeInvalidServiceKey}, answer{401, challenge(bearer(`, error="invalid_token"`))}},
		{"/v1/x", problem{code: codeMissingToken}, answer{401, challenge(bearer(""), dpop.Challenge("latchkey", ""))}},
		{"/v1/x", problem{code: codeMissingServiceKey}, answer{401, challenge(bearer(""))}},
		{"/oauth2/x", problem{code: codeMissingServiceKey}, answer{401, challenge(bearer(""), `Basic realm="latchkey"`)}},
		{"/oauth2/x", problem{code: codeInvalidServiceKey}, answer{401, challenge(bearer(`, error="invalid_token"`))}},
		{"/oauth2/x", problem{code: codeInvalidClient}, answer{401, challenge(`Basic realm="latchkey"`)}},
		{"/oauth2/x", problem{code: codeUnknownClient}, answer{400, none}},
		{"/v1/x", problem{code: codeTokenInQuery}, answer{400, challenge(bearer(`, error="invalid_request"`))}},
		{"/oauth2/x", problem{code: codeTokenInQuery}, answer{400, none}},
		{"/v1/x", problem{code: codeUnknownParameter}, answer{400, none}},
		{"/v1/x", problem{code: codeDuplicateParameter, parameter: "limit"}, answer{400, none}},
		{"/v1/x", problem{code: codeInvalidParameter, parameter: "Authorization"}, answer{400, none}},
		{"/oauth2/x", problem{code: codeDuplicateParameter, parameter: "Authorization"}, answer{400, challenge(bearer(`, error="invalid_request"`))}},
		{"/v1/x", problem{code: codeInsufficientScope}, answer{403, challenge(bearer(`, error="insufficient_scope"`))}},
		{"/v1/x", problem{code: codeMissingRight, right: RightEnd}, answer{403, challenge(bearer(`, error="insufficient_scope", scope="` + string(RightEnd) + `"`))}},
		{"/v1/x", problem{code: codeUnavailable}, answer{503, http.Header{"Retry-After": {"2"}}}},
		{"/v1/x", problem{code: codeChecksumMismatch, etag: `"a"`}, answer{412, http.Header{"Etag": {`"a"`}}}},
	} {
		w := httptest.NewRecorder()
		fail(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.path, http.NoBody), &test.problem)
		h := w.Header()
		for name := range h {
			if !slices.Contains([]string{"Www-Authenticate", "Retry-After", "Etag"}, name) {
				h.Del(name)
			}
		}
		if diff := cmp.Diff(test.want.header, h); diff != "" || w.Code != test.want.status {
			t.Errorf("%s at %s: %d, want %d (-want +got):\n%s", test.code, test.path, w.Code, test.want.status, diff)
		}
	}
}

// A client that hung up is not an outage of the service, and vice versa.
func TestWhoHungUp(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		ctx  context.Context
		code code
		want int
	}{
		{gone, codeUnavailable, statusClientClosedRequest},
		{gone, codeInvalidMember, 400},
		{t.Context(), codeUnavailable, 503},
	} {
		w := httptest.NewRecorder()
		fail(w, httptest.NewRequestWithContext(test.ctx, http.MethodGet, "/v1/x", http.NoBody), &problem{code: test.code})
		if w.Code != test.want {
			t.Errorf("%s became %d, want %d", test.code, w.Code, test.want)
		}
	}
}

// RFC 9457 and RFC 6749 §5.2: everything that a client may know is in the document.
func TestProblemDocuments(t *testing.T) {
	t.Parallel()
	p := problem{code: codeInvalidMember, detail: "It is empty.", pointer: "/a", parameter: "b"}
	for path, want := range map[string][2]string{
		"/v1/x": {
			"application/problem+json",
			`{"type":"` + problemTypes + `invalid_member","title":"A member of the body is not acceptable.","status":400,"detail":"It is empty.","code":"invalid_member","pointer":"/a","parameter":"b","request_id":"the-id"}`,
		},
		"/oauth2/x": {"application/json", `{"error":"invalid_request","error_description":"A member of the body is not acceptable: b. It is empty."}`},
	} {
		w := httptest.NewRecorder()
		fail(w, httptest.NewRequestWithContext(&requestContext{Context: t.Context(), info: requestInfo{id: "the-id"}}, http.MethodGet, path, http.NoBody), &p)
		if got := w.Body.String(); got != want[1] || w.Header().Get("Content-Type") != want[0] || w.Header().Get("Cache-Control") != noStore {
			t.Errorf("%s: %v %s, want %s", path, w.Header(), got, want[1])
		}
	}
}

// Each error has one code, whatever wraps it; one that is not known is ours.
func TestProblemOfAnError(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want problem // without its cause
	}{
		{&sessionstore.ArgumentError{Field: "client.label", Problem: "too long"}, problem{code: codeInvalidMember, pointer: "/client/label", detail: "Too long."}},
		{&sessionstore.ArgumentError{Field: "claims", Member: "/role", Problem: "reserved"}, problem{code: codeInvalidMember, pointer: "/claims/role", detail: "Reserved."}},
		{&sessionstore.ConflictError{Checksum: "a"}, problem{code: codeChecksumMismatch, etag: `"a"`}},
		{&http.MaxBytesError{Limit: 2048}, problem{code: codeBodyTooLarge, detail: "The limit is 2048 bytes."}},
		{sessionstore.ErrScope, problem{code: codeInvalidScope}},
		{sessionstore.ErrResource, problem{code: codeInvalidTarget}},
		{sessionstore.ErrProofRequired, problem{code: codeInvalidProof, reason: "no_proof", detail: "The client needs one."}},
		{sessionstore.ErrUnavailable, problem{code: codeUnavailable}},
		{verifier.ErrUnavailable, problem{code: codeUnavailable}},
		{context.DeadlineExceeded, problem{code: codeUnavailable}},
		{context.Canceled, problem{code: codeUnavailable}},
		{os.ErrDeadlineExceeded, problem{code: codeRequestTimeout}},
		{sessionstore.ErrNotFound, problem{code: codeSessionNotFound}},
		{sessionstore.ErrEnded, problem{code: codeSessionEnded}},
		{sessionstore.ErrNotReplaceable, problem{code: codeNotReplaceable, pointer: "/replaces"}},
		{sessionstore.ErrIdempotencyKeyReused, problem{code: codeIdempotencyKeyReused}},
		{sessionstore.ErrTooManySessions, problem{code: codeTooManySessions}},
		{&problem{code: codeRateLimited, reason: "address"}, problem{code: codeRateLimited, reason: "address"}},
		{errors.New("anything else"), problem{code: codeInternal}},
		{tokens.ErrInvalid, problem{code: codeInternal}},
	} {
		wrapped := fmt.Errorf("here: %w", test.err)
		got := *problemOf(wrapped)
		var cause error
		if test.want.code == codeUnavailable || test.want.code == codeInternal {
			cause = wrapped // for the log
		}
		if !errors.Is(got.cause, cause) || (got.cause == nil) != (cause == nil) {
			t.Errorf("%v has the cause %v", test.err, got.cause)
		}
		if got.cause = nil; got != test.want {
			t.Errorf("%v is %+v, want %+v", test.err, got, test.want)
		}
	}
	// In a query an argument is a parameter.
	if p := asProblem(t, inQuery(&sessionstore.ArgumentError{Field: "label", Problem: "too long"})); p != *invalidParameter("label", "Too long.") {
		t.Errorf("%+v", p)
	}
	if err := inQuery(sessionstore.ErrEnded); !errors.Is(err, sessionstore.ErrEnded) {
		t.Error(err)
	}
}

// Each state in which a token is not accepted is one word in the log; an outage is none, whatever comes with it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for want, errs := range map[string][]error{
		"": {
			nil, errors.New("anything else"), sessionstore.ErrUnavailable, verifier.ErrUnavailable,
			fmt.Errorf("%w: %w", tokens.ErrInvalid, sessionstore.ErrUnavailable), fmt.Errorf("%w: %w", tokens.ErrExpired, verifier.ErrUnavailable),
		},
		"reuse": {sessionstore.ErrReuse}, "not_proven": {sessionstore.ErrNotProven}, "other_client": {sessionstore.ErrOtherClient},
		"expired": {tokens.ErrExpired, fmt.Errorf("%w: %w", sessionstore.ErrEnded, tokens.ErrExpired)},
		"ended":   {sessionstore.ErrEnded, verifier.ErrRevoked}, "superseded": {sessionstore.ErrSuperseded}, "not_found": {sessionstore.ErrNotFound},
		"wrong_type": {tokens.ErrWrongType}, "too_large": {tokens.ErrTooLarge}, "unknown_key": {tokens.ErrUnknownKey},
		"wrong_issuer": {tokens.ErrWrongIssuer}, "wrong_audience": {tokens.ErrWrongAudience}, "invalid": {tokens.ErrInvalid},
	} {
		for _, err := range errs {
			if got := refusal(err); got != want {
				t.Errorf("%v is %q, want %q", err, got, want)
			}
			access, refresh := refusedToken(err), refusedGrant(err)
			if want == "" && (!errors.Is(access, err) || !errors.Is(refresh, err)) {
				t.Errorf("%v became %v and %v", err, access, refresh)
			}
			if want != "" && (asProblem(t, access).code != codeInvalidToken || asProblem(t, refresh).code != codeInvalidGrant || asProblem(t, access).reason != want || asProblem(t, refresh).reason != want) {
				t.Errorf("%v became %v and %v", err, access, refresh)
			}
		}
	}
}
