package sessionstore_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Many sessions are loaded with one statement, each as if it were loaded alone: one that
// has ended, one that no longer exists, one whose data cannot be opened, and one that has
// several pairs, as sessions of Compas do.
func TestLoadingTogether(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const kinds, each = 5, 12
	var ids []uuid.UUID
	for i := range kinds * each {
		session, _ := k.create(t, sessionstore.CreateParams{Data: []byte(`{"id":"` + uuid.NewString() + `"}`), Claims: roleOf("editor"), Client: sessionstore.Client{Label: uuid.NewString()}})
		ids = append(ids, session.ID)
		switch i % kinds {
		case 1:
			if err := k.Invalidate(t.Context(), session.ID, sessionstore.SignedOut(session.ID)); err != nil {
				t.Fatal(err)
			}
		case 2:
			k.exec(t, `DELETE FROM "sessionStore" WHERE "id" = $1`, session.ID)
		case 3:
			k.exec(t, `UPDATE "sessionStore" SET "data" = '"latchkey-sealed:lost:AAAA"' WHERE "id" = $1`, session.ID)
		case 4:
			k.exec(t, `INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt", "clientUserAgent")
				SELECT "session", "createdAt", "expiresAt" + i * interval '1 minute', "expiresOn", "accessExpiresAt", 'agent ' || i
				FROM "sessionStoreToken", generate_series(-1, 1) i WHERE "session" = $1`, session.ID)
		}
	}
	type loaded struct {
		Session sessionstore.Session
		Err     error
	}
	alone, shared := make([]loaded, len(ids)), make([]loaded, len(ids))
	for i, id := range ids {
		alone[i].Session, alone[i].Err = k.Load(t.Context(), id)
	}
	before := k.queries.Load()
	k.atOnce(t, len(ids), func(i int) error {
		shared[i].Session, shared[i].Err = k.Load(t.Context(), ids[i])
		return nil
	})
	if sent := k.queries.Load() - before; sent != 1 {
		t.Errorf("%d statements loaded them", sent)
	}
	for i := range ids {
		if diff := cmp.Diff(alone[i].Session, shared[i].Session); diff != "" {
			t.Errorf("%d (-alone +together):\n%s", i, diff)
		}
		var want error
		switch i % kinds {
		case 2:
			want = sessionstore.ErrNotFound
		case 3:
			want = sessionstore.ErrUnavailable
		}
		if !errors.Is(shared[i].Err, want) || !errors.Is(alone[i].Err, want) {
			t.Errorf("%d: %v alone, %v together, want %v", i, alone[i].Err, shared[i].Err, want)
		}
		if ended := shared[i].Session.Ended.Reason; (i%kinds == 1) != (ended == sessionstore.ReasonSignedOut) {
			t.Errorf("%d: it ended for %q", i, ended)
		}
		if agent := shared[i].Session.LastClient.UserAgent; (i%kinds == 4) != (agent == "agent 1") {
			t.Errorf("%d: of the pair of %q", i, agent)
		}
	}
}
