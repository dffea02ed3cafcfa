package authorization_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/protectedresource"
	"github.com/latchkey-sessions/latchkey/tokens"
)

var errOther = errors.New("something else")

// again says that a user must have authenticated within an hour.
func again(bound bool) error {
	return &tokens.AuthenticationError{Requirement: tokens.Requirement{MaxAge: time.Hour}, Bound: bound}
}

// refused is the answer to a request that is refused, with a header that was there before.
func refused(r *http.Request, refuse func(http.ResponseWriter, *http.Request)) (status int, header http.Header) {
	w := httptest.NewRecorder()
	w.Header().Set("X-Before", "x")
	refuse(w, r)
	h := w.Header()
	if h.Get("X-Before") != "x" || w.Body.String() != http.StatusText(w.Code)+"\n" {
		h.Set("X-Wrong", w.Body.String())
	}
	h.Del("X-Before")
	h.Del("Content-Type")
	h.Del("X-Content-Type-Options")
	return w.Code, h
}

// RFC 6750 §3, RFC 9449 §7.1, RFC 9470 §3: an answer about the token is 401 with one challenge for each
// scheme that would do. Every other answer has the caller's status and no challenge: it says
// nothing about the token.
func TestRefuse(t *testing.T) {
	t.Parallel()
	const bearer = "Bearer"
	algorithms := dpop.Challenge("", "") // the parameter, after the scheme
	hungUp, hangUp := context.WithCancel(t.Context())
	hangUp()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
	defer cancel()
	challenges := func(values ...string) http.Header { return http.Header{"Www-Authenticate": values} }
	retry := http.Header{"Retry-After": {"1"}}
	for name, test := range map[string]struct {
		err       error
		isInvalid bool
		ctx       context.Context //nolint:containedctx // of the request
		status    int             // the caller's
		want      int
		header    http.Header
	}{
		"no token":                       {authorization.ErrNoToken, false, nil, 503, 401, challenges(bearer, algorithms)},
		"malformed":                      {fmt.Errorf("%w: x", authorization.ErrMalformed), false, nil, 503, 401, challenges(bearer + ` error="invalid_token"`)},
		"invalid":                        {tokens.ErrExpired, true, nil, 503, 401, challenges(bearer + ` error="invalid_token"`)},
		"invalid, and the client is off": {tokens.ErrExpired, true, hungUp, 503, 401, challenges(bearer + ` error="invalid_token"`)},
		"a bad proof":                    {fmt.Errorf("%w: %w", tokens.ErrInvalid, dpop.ErrReplayed), true, nil, 503, 401, challenges(dpop.Challenge("", dpop.CodeInvalidProof))},
		"a nonce is wanted":              {dpop.ErrUseNonce, false, nil, 500, 401, challenges(dpop.Challenge("", dpop.CodeUseNonce))},
		"not bound":                      {dpop.ErrNotBound, false, nil, 503, 401, challenges(dpop.Challenge("", dpop.CodeInvalidToken))},
		"to authenticate again":          {fmt.Errorf("here: %w", again(false)), false, nil, 503, 401, challenges(bearer + ` error="insufficient_user_authentication", max_age="3600"`)},
		"the same, bound to a key":       {again(true), true, nil, 500, 401, challenges(dpop.Challenge("", "insufficient_user_authentication") + `, max_age="3600"`)},
		"the same, and a bad proof":      {fmt.Errorf("%w: %w", dpop.ErrInvalid, again(true)), true, nil, 500, 401, challenges(dpop.Challenge("", "insufficient_user_authentication") + `, max_age="3600"`)},
		"an outage":                      {errOther, false, nil, 503, 503, retry},
		"an outage of the proofs":        {dpop.ErrUnavailable, false, nil, 503, 503, retry},
		"an outage until the deadline":   {errOther, false, late, 503, 503, retry},
		"the client has hung up":         {errOther, false, hungUp, 503, 499, http.Header{}},
		"forbidden":                      {errOther, false, nil, 403, 403, http.Header{}},
		"forbidden, and hung up":         {errOther, false, hungUp, 403, 403, http.Header{}},
		"a fault":                        {errOther, false, nil, 500, 500, http.Header{}},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		if test.ctx != nil {
			r = r.WithContext(test.ctx)
		}
		status, header := refused(r, func(w http.ResponseWriter, r *http.Request) {
			authorization.Refuse(w, r, test.err, test.isInvalid, test.status)
		})
		if diff := cmp.Diff(test.header, header); diff != "" || status != test.want {
			t.Errorf("%s: %d, want %d (-want +got):\n%s", name, status, test.want, diff)
		}
	}
}

// RFC 9470 §3: the challenge states what is required, and nothing that is not.
func TestChallengeToAuthenticateAgain(t *testing.T) {
	t.Parallel()
	const code = "insufficient_user_authentication"
	bearer, bound := `Bearer error="`+code+`"`, dpop.Challenge("", code)
	for want, e := range map[string]tokens.AuthenticationError{
		bearer:                         {},
		bound:                          {Bound: true},
		bearer + `, acr_values="gold"`: {Requirement: tokens.Requirement{ACRValues: []string{"gold"}}},
		bearer + `, max_age="1"`:       {Requirement: tokens.Requirement{MaxAge: time.Second}},
		bound + `, acr_values="gold silver", max_age="300"`: {
			Requirement: tokens.Requirement{ACRValues: []string{"gold", "silver"}, MaxAge: 5 * time.Minute}, Bound: true,
		},
	} {
		if got := authorization.Challenge(&e); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// RFC 9728 §5.1: every challenge says where the metadata is, in the syntax of RFC 9110 §11.6.1, and
// an answer without one does not.
func TestWithMetadata(t *testing.T) {
	t.Parallel()
	m, err := protectedresource.New(protectedresource.Config{Resource: "https://api.example.com/v1", Issuer: "https://id.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	const parameter = `resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/v1"`
	type key struct{}
	onError := func(w http.ResponseWriter, r *http.Request, err error) {
		if r.Context().Value(key{}) != "kept" {
			t.Error("a value of the request's context is missing")
		}
		authorization.Refuse(w, r, err, false, http.StatusForbidden)
	}
	for _, test := range []struct {
		err           error
		with, without []string
	}{
		{authorization.ErrNoToken, []string{"Bearer " + parameter, dpop.Challenge("", "") + ", " + parameter}, []string{"Bearer", dpop.Challenge("", "")}},
		{authorization.ErrMalformed, []string{`Bearer error="invalid_token", ` + parameter}, []string{`Bearer error="invalid_token"`}},
		{errOther, nil, nil},
	} {
		r := httptest.NewRequestWithContext(context.WithValue(t.Context(), key{}, "kept"), http.MethodGet, "/", http.NoBody)
		for m, want := range map[*protectedresource.Metadata][]string{m: test.with, nil: test.without} {
			_, header := refused(r, func(w http.ResponseWriter, r *http.Request) {
				authorization.WithMetadata(onError, m)(w, r, test.err)
			})
			if diff := cmp.Diff(want, header["Www-Authenticate"]); diff != "" {
				t.Errorf("%v, metadata %t: %s", test.err, m != nil, diff)
			}
			if _, wrong := header["X-Wrong"]; wrong {
				t.Errorf("%v: %v", test.err, header)
			}
		}
	}
}
