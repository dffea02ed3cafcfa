package sessionstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// The clock of a replica decides nothing about a token of Compas either, nor whether
// one can sign its user out.
func TestReplicaClockDecidesNothingForCompas(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{20 * time.Second, -20 * time.Second, 240 * time.Hour, -240 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			t.Parallel()
			c := setupCompas(t, func(cfg *sessionstore.Config) {
				cfg.Tokens.Now = func() time.Time { return time.Now().Add(off) }
			})
			p := c.signIn(t, `{}`)
			c.accepted(t, p.access)
			c.refresh(t, p.refresh, sessionstore.Rotated)
			c.refresh(t, p.refresh, sessionstore.Raced) // its pair is there now

			// Expired by the database's clock, before and after its pair was made.
			past := time.Now().Add(-time.Minute)
			c.refused(t, compasToken(refreshClaim, p.refreshRow, past), sessionstore.ErrEnded)
			p = c.signIn(t, `{}`)
			c.rejected(t, compasToken(accessClaim, p.accessRow, past), tokens.ErrExpired)
			c.refused(t, compasToken(refreshClaim, p.refreshRow, past), tokens.ErrExpired)
			c.accepted(t, p.access) // nobody was suspected

			if err := c.RevokeToken(t.Context(), string(compasToken(accessClaim, p.accessRow, past))); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Get(t.Context(), string(p.access)); !errors.Is(err, sessionstore.ErrEnded) {
				t.Errorf("after a sign-out with a token that has expired: %v", err)
			}
		})
	}
}

// A token of Compas without an expiry ends with its session, and is not said to have
// expired.
func TestCompasTokenWithoutExpiry(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	p := c.signIn(t, `{}`)
	eternal := signCompas(`{"`+refreshClaim+`":"`+p.refreshRow.String()+`"}`, compasKey)
	c.refresh(t, eternal, sessionstore.Rotated)
	if err := c.Invalidate(t.Context(), p.session); err != nil {
		t.Fatal(err)
	}
	_, err := c.RefreshTokens(t.Context(), string(eternal), sessionstore.Client{})
	if !errors.Is(err, sessionstore.ErrEnded) || errors.Is(err, tokens.ErrExpired) {
		t.Errorf("after the session has ended: %v", err)
	}
}
