package sessionhttp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// A page load that is abandoned after the program has refreshed for it, and used the new token, logs nobody out: only a
// token that the client itself sends counts as its use.
func TestRefreshed(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	store := k.with(t, func(cfg *sessionstore.Config) { cfg.Grace = 1 }) // ns: it ends immediately
	sessions := sessionhttp.New[cart](store, sessionhttp.Config{})
	var rendered int
	page := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rendered++
		update(r.Context(), t, sessions.From(r.Context()), func(c *cart) { c.Items = []string{"milk"} }) // even where it changes something
		w.WriteHeader(http.StatusNoContent)
	}))
	load := func(r *http.Request) {
		t.Helper()
		w := httptest.NewRecorder()
		if page.ServeHTTP(w, r); w.Code != http.StatusNoContent {
			t.Errorf("a page is %d", w.Code)
		}
	}
	plain := func(cookie tokens.Secret) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+string(cookie))
		return r
	}
	refresh := func(token tokens.Secret) (sessionstore.Refreshed, error) {
		return store.RefreshTokens(t.Context(), string(token), sessionstore.Client{})
	}

	_, first, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := refresh(first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	asked := plain("the one of before")
	load(sessionhttp.Refreshed(asked, second.Pair.AccessToken))
	if got := asked.Header.Get("Authorization"); got != "Bearer the one of before" {
		t.Errorf("the request itself was changed: %s", got)
	}
	third, err := refresh(first.RefreshToken) // the cookies were lost with the answer
	if err != nil || third.Outcome != sessionstore.RetriedLate {
		t.Fatalf("the client's own refresh after it: %v, %v", third.Outcome, err)
	}

	// The client stored this pair and brings it.
	load(sessionhttp.Refreshed(plain("x"), third.Pair.AccessToken))
	load(plain(third.Pair.AccessToken))
	if _, err := refresh(first.RefreshToken); !errors.Is(err, sessionstore.ErrReuse) {
		t.Errorf("a copy of the first token after that: %v", err)
	}
	if rendered != 3 {
		t.Errorf("%d pages were rendered", rendered)
	}
}

// The mark is one token's: another that a handler in between puts there is the client's.
func TestRefreshedIsOneToken(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{})
	store := k.with(t, func(cfg *sessionstore.Config) { cfg.Grace = 1 })
	_, first, err := store.Create(t.Context(), sessionstore.CreateParams{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := store.RefreshTokens(t.Context(), string(first.RefreshToken), sessionstore.Client{})
	if err != nil {
		t.Fatal(err)
	}
	r := sessionhttp.Refreshed(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody), "another")
	r.Header.Set("Authorization", "Bearer "+string(second.Pair.AccessToken))
	w := httptest.NewRecorder()
	sessionhttp.New[cart](store, sessionhttp.Config{}).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%d", w.Code)
	}
	if _, err := store.RefreshTokens(t.Context(), string(first.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrReuse) {
		t.Errorf("a copy of the first token: %v", err)
	}
}
