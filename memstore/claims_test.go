package memstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// A session has the claims of its newest pair, which a program gives it.
func TestClaimsOfPairFor(t *testing.T) {
	t.Parallel()
	cfg, clock := onClock()
	cfg.PairFor = func(context.Context, sessionstore.PairRequest) (sessionstore.PairParams, error) {
		return sessionstore.PairParams{Claims: []byte(`{"role":"viewer"}`)}, nil
	}
	s := memstore.MustNew(cfg)
	session, pair, err := s.Create(t.Context(), sessionstore.CreateParams{Claims: []byte(`{"role":"editor"}`)})
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	if _, err := s.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Load(t.Context(), session.ID); err != nil || string(got.Claims) != `{"role":"viewer"}` {
		t.Errorf("%s, %v", got.Claims, err)
	}
}
