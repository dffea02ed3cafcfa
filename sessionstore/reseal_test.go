package sessionstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/dataseal"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func (k kit) reseal(t *testing.T, store *sessionstore.Store, params sessionstore.Reseal) sessionstore.Resealed {
	t.Helper()
	done, err := store.Reseal(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func (k kit) checkCounts(t *testing.T, want map[string]int64) {
	t.Helper()
	if got, err := k.CountSealed(t.Context(), nil); err != nil || !cmp.Equal(got, want) {
		t.Errorf("rows by key: %v, %v, want %v", got, err, want)
	}
}

// Whatever a row was sealed with, if at all, it is then sealed with the current
// key. Nothing else in it changes, and a caller that has read it gets no
// conflict.
func TestReseal(t *testing.T) {
	t.Parallel()
	k := setup(t)
	before, after := replaced(t)
	oldKey, newKey := before.Keys()[0].ID, after.Keys()[1].ID
	older, newer := newStore(t, k.pool, k.ring, sealing(t, before)), newStore(t, k.pool, k.ring, sealing(t, after))
	const each = 80 // more than a batch in all
	var sessions []sessionstore.Session
	for i := range each {
		for _, store := range []*sessionstore.Store{k.Store, older, newer} {
			session, _, err := store.Create(t.Context(), sessionstore.CreateParams{Data: fmt.Appendf(nil, `{"n":%d}`, i)})
			if err != nil {
				t.Fatal(err)
			}
			sessions = append(sessions, session)
		}
	}
	if err := k.Invalidate(t.Context(), sessions[0].ID); err != nil {
		t.Fatal(err)
	}
	k.exec(t, `UPDATE "sessionStore" SET "updatedAt" = "createdAt" - interval '1 hour'`)
	k.checkCounts(t, map[string]int64{"": each, oldKey: each, newKey: each})

	var calls int
	done := k.reseal(t, newer, sessionstore.Reseal{Progress: func(sessionstore.Resealed) { calls++ }})
	if want := (sessionstore.Resealed{Rows: 3 * each, Written: 2 * each}); done != want || calls != 2 {
		t.Errorf("%+v, want %+v; %d calls", done, want, calls)
	}
	k.checkCounts(t, map[string]int64{newKey: 3 * each})
	for _, session := range sessions {
		got, err := newer.Load(t.Context(), session.ID)
		if err != nil || mustChecksum(string(got.Data)) != mustChecksum(string(session.Data)) {
			t.Fatalf("%s, %v, want %s", got.Data, err, session.Data)
		}
		if n := k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "id" = $1 AND "updatedAt" < "createdAt"`, session.ID); n != 1 {
			t.Error("updatedAt has changed")
		}
		if session.ID == sessions[0].ID {
			continue // it has ended
		}
		if _, err := newer.Update(t.Context(), session.ID, session.Checksum, []byte(`{}`)); err != nil {
			t.Errorf("with the checksum that was read before: %v", err)
		}
	}
	if done := k.reseal(t, newer, sessionstore.Reseal{}); done.Written != 0 || done.Rows != 3*each {
		t.Errorf("again: %+v", done)
	}

	if done := k.reseal(t, newer, sessionstore.Reseal{Unseal: true}); done.Written != 3*each {
		t.Errorf("unsealing: %+v", done)
	}
	k.checkCounts(t, map[string]int64{"": 3 * each})
	got, err := k.Load(t.Context(), sessions[1].ID)
	if sum, sumErr := sessionstore.Checksum(got.Data); err != nil || sumErr != nil || sum != got.Checksum {
		t.Errorf("unsealed: %s, %q, %v", got.Data, got.Checksum, err)
	}
}

// Data that cannot be opened stays unchanged, for a holder of the key.
func TestResealLeavesWhatItCannotOpen(t *testing.T) {
	t.Parallel()
	keys := newKeyset(t)
	k := setupWith(t, sealing(t, keys))
	lost, _ := k.create(t, sessionstore.CreateParams{Data: []byte(`{"a":1}`)})
	other := newStore(t, k.pool, k.ring, sealing(t, newKeyset(t)))
	done, err := other.Reseal(t.Context(), sessionstore.Reseal{})
	if sealed, ok := errors.AsType[*sessionstore.SealedError](done.Reason); err != nil || !ok || sealed.SessionID != lost.ID ||
		!errors.Is(sealed, dataseal.ErrUnknownKey) || done.Unreadable != 1 || done.Written != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	if got, err := k.Load(t.Context(), lost.ID); err != nil || string(got.Data) != `{"a":1}` || got.Checksum != lost.Checksum {
		t.Errorf("%s, %v", got.Data, err)
	}
	if _, err := newStore(t, k.pool, k.ring, config()).Reseal(t.Context(), sessionstore.Reseal{}); err == nil {
		t.Error("without a Sealer nothing is to be sealed")
	}
}

// Compas may have stored what would not be accepted today: more data, and values
// other than objects.
func TestResealTakesWhatIsThere(t *testing.T) {
	t.Parallel()
	keys := newKeyset(t)
	k := setupWith(t, sealing(t, keys))
	for _, stored := range []string{`jsonb_build_object('long', repeat('x', 100000))`, `'"a string"'`, `'"a:b"'`, `'[1, 2]'`, `'null'`, `'7'`} {
		session, _ := k.create(t, sessionstore.CreateParams{})
		k.exec(t, `UPDATE "sessionStore" SET "checksum" = 'crc', "data" = `+stored+` WHERE "id" = $1`, session.ID)
		before, err := k.Load(t.Context(), session.ID)
		if err != nil {
			t.Fatalf("%s: %v", stored, err)
		}
		if done := k.reseal(t, k.Store, sessionstore.Reseal{}); done.Written != 1 {
			t.Errorf("%s: %+v", stored, done)
		}
		k.checkCounts(t, map[string]int64{keys.Keys()[0].ID: 1})
		after, err := k.Load(t.Context(), session.ID)
		if err != nil || !bytes.Equal(after.Data, before.Data) {
			t.Errorf("%s: %.50s, %v", stored, after.Data, err)
		}
		if _, err := k.Update(t.Context(), session.ID, after.Checksum, []byte(`{}`)); err != nil {
			t.Errorf("%s: %v", stored, err)
		}
		k.exec(t, `DELETE FROM "sessionStore"`)
	}
}

// Resealing overwrites no change, whichever comes first, and loses no session.
func TestResealBesideUpdates(t *testing.T) {
	t.Parallel()
	before, after := replaced(t)
	k := setupWith(t, sealing(t, after))
	const sessions, workers, walks = 20, 4, 12
	older := newStore(t, k.pool, k.ring, sealing(t, before))
	ids := make([]uuid.UUID, sessions)
	for i := range ids {
		session, _, err := older.Create(t.Context(), sessionstore.CreateParams{Data: []byte(`{"n":0}`)})
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = session.ID
	}
	var counted [sessions]atomic.Int64
	var finished atomic.Bool
	var written int64
	together(workers+1, func(worker int) {
		if worker == workers {
			defer finished.Store(true)
			for n := range walks { // to and fro, so that there always is something to do
				done, err := k.Reseal(t.Context(), sessionstore.Reseal{Unseal: n%2 == 1})
				if err != nil || done.Unreadable != 0 {
					t.Errorf("%+v, %v", done, err)
					return
				}
				written += done.Written
			}
			return
		}
		for i := worker; !finished.Load(); i++ {
			err := increment(t.Context(), k.Store, ids[i%sessions])
			switch {
			case err == nil:
				counted[i%sessions].Add(1)
			case !errors.Is(err, sessionstore.ErrConflict):
				t.Error(err)
				return
			}
		}
	})
	var total int64
	for i, id := range ids {
		want := counted[i].Load()
		session, err := k.Load(t.Context(), id)
		if err != nil || mustChecksum(string(session.Data)) != mustChecksum(fmt.Sprintf(`{"n":%d}`, want)) {
			t.Errorf("counted %s, %v, want %d", session.Data, err, want)
		}
		total += want
	}
	if written < sessions || total == 0 {
		t.Errorf("%d rows were resealed alongside %d updates: that shows nothing", written, total)
	}
}
