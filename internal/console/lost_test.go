package console_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/console"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// A live session whose tokens are older than each signing key is shown as lost: its user was signed out by
// the removal of the key. One that was refreshed since is not, nor any where keys may be older
// than they say.
func TestTokensOfAKeyThatIsGone(t *testing.T) {
	t.Parallel()
	const gone = "older than each of today’s signing keys"
	var keys []console.Key
	service := console.Service{Keys: func(context.Context) ([]console.Key, error) { return keys, nil }}
	k := setupWith(t, service)
	lost, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
	kept, pair := k.create(t, sessionstore.CreateParams{Subject: "bob"})
	for _, id := range []uuid.UUID{lost.ID, kept.ID} {
		k.exec(t, `UPDATE "sessionStore" SET "createdAt" = now() - interval '1 hour' WHERE "id" = $1`, id)
		k.exec(t, `UPDATE "sessionStoreToken" SET "createdAt" = now() - interval '1 hour', "settledAt" = now() - interval '1 hour' WHERE "session" = $1`, id)
	}
	made := uuid.Must(uuid.NewV7()).String()
	if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); err != nil {
		t.Fatal(err)
	}
	b := k.signedIn(t, graceKey)
	see := func(subject string, session uuid.UUID, want bool) {
		t.Helper()
		for _, path := range []string{"/console/subject?id=" + subject, "/console/sessions/" + session.String()} {
			b.get(path)
			if b.want(200); want {
				b.want(200, gone)
			} else {
				b.wantNot(gone)
			}
		}
	}
	keys = []console.Key{{ID: made, State: "signs"}}
	see("ada", lost.ID, true)
	see("bob", kept.ID, false)
	keys = append(keys, console.Key{ID: "someone else’s", State: "verifies"})
	see("ada", lost.ID, false)
	keys = nil
	see("ada", lost.ID, false)
	keys = []console.Key{{ID: made, State: "signs"}}
	if err := k.Invalidate(t.Context(), lost.ID, sessionstore.Cause{Reason: sessionstore.ReasonOperator}); err != nil {
		t.Fatal(err)
	}
	see("ada", lost.ID, false)

	service.OtherKeys = true
	other := setupWith(t, service)
	session, _ := other.create(t, sessionstore.CreateParams{Subject: "ada"})
	other.exec(t, `UPDATE "sessionStore" SET "createdAt" = now() - interval '1 hour' WHERE "id" = $1`, session.ID)
	b = other.signedIn(t, graceKey)
	see("ada", session.ID, false)
}
