package sessionstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// claimsOf verifies an access token strictly and returns the session's own claims in it.
func (k kit) claimsOf(t *testing.T, pair sessionstore.TokenPair) string {
	t.Helper()
	session, claims, err := k.Get(t.Context(), string(pair.AccessToken))
	if err != nil {
		t.Fatal(err)
	}
	if string(session.Claims) != claims.Custom {
		t.Errorf("the session has the claims %s, its token %s", session.Claims, claims.Custom)
	}
	return claims.Custom
}

// Every way to a pair gives the session's claims with it, and a pair that is given again
// is the same to the byte.
func TestClaims(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const want = `{"id":12345678901234567890123,"role":"editor","scope":"orders:read orders:write"}`
	session, pair := k.create(t, sessionstore.CreateParams{Claims: []byte(` {"scope":"orders:read orders:write","role":"editor","id":12345678901234567890123} `)})
	check := func(pair sessionstore.TokenPair) {
		t.Helper()
		if got := k.claimsOf(t, pair); got != want || pair.Scope != "orders:read orders:write" {
			t.Errorf("%s, scope %q; want %s", got, pair.Scope, want)
		}
	}
	check(pair)
	first := pair
	pair = k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	check(pair)
	for token, outcome := range map[tokens.Secret]sessionstore.Outcome{pair.RefreshToken: sessionstore.StillFresh, first.RefreshToken: sessionstore.Raced} {
		if again := k.refresh(t, token, outcome); again.AccessToken != pair.AccessToken || again.Scope != pair.Scope {
			t.Errorf("%v: the same row gives another access token", outcome)
		}
	}
	k.age(t, session.ID, time.Hour)
	pair = k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	check(pair)
	loaded, err := k.Load(t.Context(), session.ID)
	if err != nil || string(loaded.Claims) != want {
		t.Errorf("%s, %v", loaded.Claims, err)
	}
}

// A lost answer, and commits that the database has lost.
func TestClaimsOfLostAnswers(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const want = `{"role":"editor"}`
	session, first := k.create(t, sessionstore.CreateParams{Claims: []byte(want)})
	k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	k.age(t, session.ID, time.Hour)
	if got := k.claimsOf(t, k.refresh(t, first.RefreshToken, sessionstore.RetriedLate)); got != want {
		t.Error(got)
	}
	newest := k.refresh(t, first.RefreshToken, sessionstore.Raced)
	k.exec(t, `UPDATE "sessionStoreToken" SET "generation" = "generation" - 1, "accessGeneration" = "accessGeneration" - 1`)
	if got := k.claimsOf(t, k.refresh(t, newest.RefreshToken, sessionstore.Healed)); got != want {
		t.Error(got)
	}
}

func TestClaimsOfSharedAndLimitedCreations(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.SessionsPerSubject = 1
	limited := setupWith(t, cfg)
	if _, pair := limited.create(t, sessionstore.CreateParams{Claims: []byte(`{"n":1}`)}); limited.claimsOf(t, pair) != `{"n":1}` {
		t.Error("a session that counts has no claims")
	}

	k := setup(t)
	all := []string{`{"n":1}`, ``, `{"n":3}`}
	release := k.Hold(t, len(all))
	type made struct {
		pair sessionstore.TokenPair
		err  error
	}
	answers := make([]chan made, len(all))
	for i, claims := range all {
		answers[i] = make(chan made, 1)
		go func() {
			_, pair, err := k.Create(t.Context(), sessionstore.CreateParams{Claims: []byte(claims)})
			answers[i] <- made{pair, err}
		}()
	}
	release()
	pairs := make([]sessionstore.TokenPair, len(all))
	for i, want := range all {
		got := <-answers[i]
		if got.err != nil {
			t.Fatal(got.err)
		}
		pairs[i] = got.pair
		if claims := k.claimsOf(t, got.pair); claims != want {
			t.Errorf("%q, want %q", claims, want)
		}
	}
	refreshed := make([]chan sessionstore.TokenPair, len(all))
	release = k.Hold(t, len(all))
	for i := range all {
		refreshed[i] = make(chan sessionstore.TokenPair, 1)
		go func() { refreshed[i] <- k.refresh(t, pairs[i].RefreshToken, sessionstore.Rotated) }()
	}
	release()
	for i, want := range all {
		if claims := k.claimsOf(t, <-refreshed[i]); claims != want {
			t.Errorf("after a refresh %q, want %q", claims, want)
		}
	}
}

func TestClaimsRefused(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for claims, want := range map[string]string{
		`[]`:              "claims: not a JSON object",
		`{"Sub":"root"}`:  "claims/Sub: reserved",
		`{"a":1,"a":1}`:   "claims/a: given twice",
		`{"scope":"a\t"}`: "claims/scope: not a scope",
	} {
		_, _, err := k.Create(t.Context(), sessionstore.CreateParams{Claims: []byte(claims)})
		if e, ok := errors.AsType[*sessionstore.ArgumentError](err); !ok || !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%s: %v, want %s", claims, err, want)
		}
	}
	if got := k.queries.Load(); got != 0 {
		t.Errorf("%d statements were sent", got)
	}
}

// A refresh may ask for what the session has, for less, and for what a client of OpenID
// Connect asks for without thinking. The response has the session's scope. Nothing changes by asking
// for more, and a token that is not valid is still judged first.
func TestRefreshScope(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{Claims: []byte(`{"scope":"orders:read orders:write"}`)})
	ask := func(token tokens.Secret, scope string) (sessionstore.Refreshed, error) {
		return k.RefreshTokensWith(t.Context(), string(token), sessionstore.RefreshOptions{Scope: scope})
	}
	for _, scope := range []string{"admin", "orders:read admin", "Orders:read"} {
		if _, err := ask(pair.RefreshToken, scope); !errors.Is(err, sessionstore.ErrScope) {
			t.Errorf("%q: %v", scope, err)
		}
	}
	old := pair
	for _, scope := range []string{"orders:write orders:read", "orders:read", "openid offline_access", "openid orders:read", ""} {
		got, err := ask(pair.RefreshToken, scope)
		if err != nil || got.Outcome != sessionstore.Rotated || got.Pair.Scope != "orders:read orders:write" {
			t.Fatalf("%q: %v, scope %q, %v", scope, got.Outcome, got.Pair.Scope, err)
		}
		old, pair = pair, got.Pair
		k.age(t, session.ID, time.Hour)
	}
	k.exec(t, `UPDATE "sessionStoreToken" SET "confirmedAt" = now() - interval '1 h'`)
	if _, err := ask(old.RefreshToken, "admin"); !errors.Is(err, sessionstore.ErrReuse) {
		t.Errorf("a stolen token with a scope: %v", err)
	}
	_, none := k.create(t, sessionstore.CreateParams{})
	if _, err := ask(none.RefreshToken, "orders:read"); !errors.Is(err, sessionstore.ErrScope) {
		t.Errorf("without a scope: %v", err)
	}
}
