package sessionhttp_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// ahead is a store whose clock is ahead, so that access tokens are about to expire; it may refuse
// refreshes.
type ahead struct {
	*sessionstore.Store
	by      time.Duration
	refusal error
}

func (a ahead) Now() time.Time { return a.Store.Now().Add(a.by) }

func (a ahead) RefreshTokens(ctx context.Context, refreshToken string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	if a.refusal != nil {
		return sessionstore.Refreshed{}, a.refusal
	}
	return a.Store.RefreshTokens(ctx, refreshToken, client)
}

// An access token is replaced before it expires, if that can be done; an outage ends nothing that
// is still good.
func TestRefreshedEarly(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{}, func(cfg *sessionstore.Config) { cfg.Lifetimes.AccessToken = 10 * time.Minute })
	for name, test := range map[string]struct {
		store ahead
		code  int
		fresh bool
	}{
		"in time":          {ahead{s.store, 9 * time.Minute, nil}, http.StatusOK, false},
		"soon over":        {ahead{s.store, 9*time.Minute + 31*time.Second, nil}, http.StatusOK, true},
		"in an outage":     {ahead{s.store, 9*time.Minute + 31*time.Second, sessionstore.ErrUnavailable}, http.StatusOK, false},
		"after a sign-out": {ahead{s.store, 9*time.Minute + 31*time.Second, sessionstore.ErrEnded}, http.StatusUnauthorized, false},
	} {
		_, pair, err := s.store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		ann := browser{accessCookie: string(pair.AccessToken), refreshCookie: string(pair.RefreshToken)}
		manager := sessionhttp.New[cart](test.store, sessionhttp.Config{Transport: sessionhttp.Cookies{}})
		w := ann.send(t, manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if access := manager.From(r.Context()).AccessToken(); test.fresh == (access == pair.AccessToken) {
				t.Errorf("%s: the access token is the old one: %t", name, !test.fresh)
			}
		})), http.MethodGet)
		if w.Code != test.code || test.fresh != (w.Header()["Set-Cookie"] != nil) {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
}
