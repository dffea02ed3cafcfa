package sessionstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// ClaimsFor gives the claims of a session that is created without any. If it later
// returns something else, the same request is still the same creation, and no refresh
// calls it.
func TestClaimsFor(t *testing.T) {
	t.Parallel()
	role, asked := "editor", 0
	cfg := config()
	cfg.ClaimsFor = func(_ context.Context, p sessionstore.CreateParams) ([]byte, error) {
		asked++
		return []byte(`{"role":"` + role + `", "of":"` + p.Subject + `"}`), nil
	}
	k := setupWith(t, cfg)
	params := sessionstore.CreateParams{Subject: "ann", IdempotencyKey: "once"}
	session, pair := k.create(t, params)
	const want = `{"of":"ann","role":"editor"}`
	if got := k.claimsOf(t, pair); got != want || string(session.Claims) != want {
		t.Errorf("%s, %s", got, session.Claims)
	}
	role = "viewer"
	again, pair := k.create(t, params)
	if got := k.claimsOf(t, pair); again.ID != session.ID || got != want {
		t.Errorf("sent again: %v with %s, want %v", again.ID, got, session.ID)
	}
	if got := k.claimsOf(t, k.refresh(t, pair.RefreshToken, sessionstore.Rotated)); got != want {
		t.Errorf("after a refresh: %s", got)
	}
	for claims, want := range map[string]string{`{"own":1}`: `{"own":1}`, `{}`: ""} {
		if _, pair := k.create(t, sessionstore.CreateParams{Claims: []byte(claims)}); k.claimsOf(t, pair) != want {
			t.Errorf("%s were asked for, the token has %s", claims, k.claimsOf(t, pair))
		}
	}
	if asked != 2 {
		t.Errorf("it was asked %d times", asked)
	}
}

// A failure of the program itself is not the caller's fault, and creates nothing.
func TestClaimsForFails(t *testing.T) {
	t.Parallel()
	errRoles := errors.New("the roles are away")
	for name, test := range map[string]struct {
		claims string
		err    error
		want   func(error) bool
	}{
		"an error": {"", errRoles, func(err error) bool { return errors.Is(err, errRoles) }},
		"claims that cannot be used": {`{"sub":"root"}`, nil, func(err error) bool {
			return err != nil && !errors.Is(err, sessionstore.ErrInvalidArgument) && strings.Contains(err.Error(), "ClaimsFor")
		}},
	} {
		cfg := config()
		cfg.ClaimsFor = func(context.Context, sessionstore.CreateParams) ([]byte, error) { return []byte(test.claims), test.err }
		k := setupWith(t, cfg)
		if _, _, err := k.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"}); !test.want(err) {
			t.Errorf("%s: %v", name, err)
		}
		if n := k.queries.Load(); n != 0 {
			t.Errorf("%s: %d statements were sent", name, n)
		}
	}
}
