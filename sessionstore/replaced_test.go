package sessionstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// rotatedBefore makes the present pair older.
func (k kit) rotatedBefore(t *testing.T, by time.Duration) {
	t.Helper()
	k.exec(t, `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - $1::interval, "settledAt" = "settledAt" - $1::interval`, by)
}

// Requests that are under way when their access token is replaced are answered.
func TestReplacedAccessTokenIsGoodForAGrace(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Grace = time.Minute
	k := setupWith(t, cfg)
	session, first := k.create(t, sessionstore.CreateParams{})
	second := k.refresh(t, first.RefreshToken, sessionstore.Rotated)

	before := k.queries.Load()
	k.get(t, first)
	if n := k.queries.Load() - before; n != 1 {
		t.Errorf("it took %d statements", n)
	}
	if k.confirmed(t) {
		t.Error("the use of the replaced token counts for its successor")
	}
	k.rotatedBefore(t, cfg.Grace)
	k.rejected(t, first, sessionstore.ErrSuperseded)

	// It is the previous one, and no other.
	k.rotatedBefore(t, 3*cfg.Grace)
	k.refresh(t, second.RefreshToken, sessionstore.Rotated)
	k.rejected(t, first, sessionstore.ErrSuperseded)
	k.get(t, second)

	if err := k.Invalidate(t.Context(), session.ID); err != nil {
		t.Fatal(err)
	}
	k.rejected(t, second, sessionstore.ErrEnded)
}

// Replacing access tokens at once skips a generation.
func TestSkippedAccessTokenHasNoGrace(t *testing.T) {
	t.Parallel()
	k := setup(t)
	_, first := k.create(t, sessionstore.CreateParams{})
	second := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	k.exec(t, `UPDATE "sessionStoreToken" SET "accessGeneration" = "accessGeneration" + 2`)
	k.rejected(t, second, sessionstore.ErrSuperseded)
}

func TestReplacedAccessTokenIsRefused(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.RefuseReplaced = true
	k := setupWith(t, cfg)
	_, first := k.create(t, sessionstore.CreateParams{})
	k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	k.rejected(t, first, sessionstore.ErrSuperseded)
}

func (k kit) rejected(t *testing.T, pair sessionstore.TokenPair, want error) {
	t.Helper()
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, want) {
		t.Errorf("the access token: %v, want %v", err, want)
	}
}
