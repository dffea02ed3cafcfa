package sessionstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Many sessions are written with one statement. A conflict, an ended session and an
// unknown one affect only their own callers. Of two that have read the same version, one
// gets a conflict.
func TestUpdatingTogether(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const kinds, each = 6, 20
	dataOf := func(i int) []byte { return fmt.Appendf(nil, `{"n": %d}`, i) }
	var sessions []sessionstore.Session
	for i := range kinds * each {
		session, _ := k.create(t, sessionstore.CreateParams{Data: []byte(`{"n": "none"}`)})
		switch i % kinds {
		case 1: // someone writes what its caller does not know of
			if _, err := k.Update(t.Context(), session.ID, session.Checksum, []byte(`{"n": "another"}`)); err != nil {
				t.Fatal(err)
			}
		case 2:
			session.ID = uuid.New()
		case 3:
			if err := k.Invalidate(t.Context(), session.ID); err != nil {
				t.Fatal(err)
			}
		case 5: // the same as the one before
			session = sessions[i-1]
		}
		sessions = append(sessions, session)
	}
	next, errs := make([]string, len(sessions)), make([]error, len(sessions))
	before := k.queries.Load()
	k.atOnce(t, len(sessions), func(i int) error {
		next[i], errs[i] = k.Update(t.Context(), sessions[i].ID, sessions[i].Checksum, dataOf(i))
		return nil
	})
	// A refused call queries for the reason.
	if sent := k.queries.Load() - before; sent != 1+4*each {
		t.Errorf("%d statements", sent)
	}
	for i, session := range sessions {
		winner := i
		switch i % kinds {
		case 1:
			if !isConflict(errs[i], `{"n": "another"}`) {
				t.Errorf("%d, a stale checksum: %v", i, errs[i])
			}
			continue
		case 2, 3:
			if want := []error{sessionstore.ErrNotFound, sessionstore.ErrEnded}[i%kinds-2]; !errors.Is(errs[i], want) {
				t.Errorf("%d: %v, want %v", i, errs[i], want)
			}
			continue
		case 4:
			loser := i + 1
			if errs[i] != nil {
				winner, loser = loser, winner
			}
			if !isConflict(errs[loser], string(dataOf(winner))) {
				t.Errorf("%d, with another: %v", loser, errs[loser])
			}
		case 5:
			continue
		}
		if errs[winner] != nil {
			t.Errorf("%d: %v", winner, errs[winner])
		}
		stored, err := k.Load(t.Context(), session.ID)
		if err != nil {
			t.Fatal(err)
		}
		if string(stored.Data) != string(dataOf(winner)) || stored.Checksum != next[winner] || !stored.UpdatedAt.After(stored.CreatedAt) {
			t.Errorf("%d: %s with %s, updated %v", winner, stored.Data, stored.Checksum, stored.UpdatedAt.Sub(stored.CreatedAt))
		}
	}
}

// isConflict reports whether an error says that a session has this data now.
func isConflict(err error, data string) bool {
	checksum, _ := sessionstore.Checksum([]byte(data))
	conflict, ok := errors.AsType[*sessionstore.ConflictError](err)
	return ok && conflict.Checksum == checksum
}

// A locked session delays only callers that write to it or end it.
func TestALockedSessionDelaysNoOtherCaller(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do   func(ctx context.Context, k kit, session sessionstore.Session) error
		left string // counts the sessions for which it has not been done
	}{
		"Invalidate": {
			func(ctx context.Context, k kit, session sessionstore.Session) error {
				return k.Invalidate(ctx, session.ID)
			},
			`SELECT count(*) FROM "sessionStore" WHERE "revokedAt" IS NULL`,
		},
		"Update": {
			func(ctx context.Context, k kit, session sessionstore.Session) error {
				_, err := k.Update(ctx, session.ID, session.Checksum, []byte(`{"n":1}`))
				return err
			},
			`SELECT count(*) FROM "sessionStore" WHERE "data" = '{}'`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t)
			const n = 20
			var sessions []sessionstore.Session
			for range n {
				session, _ := k.create(t, sessionstore.CreateParams{})
				sessions = append(sessions, session)
			}
			holder, err := k.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := holder.Exec(t.Context(), `SELECT FROM "sessionStore" WHERE "id" = $1 FOR NO KEY UPDATE`, sessions[0].ID); err != nil {
				t.Fatal(err)
			}
			var all, others sync.WaitGroup
			others.Add(n - 1)
			all.Go(func() {
				k.atOnce(t, n, func(i int) error {
					if i > 0 {
						defer others.Done()
					}
					return test.do(t.Context(), k, sessions[i])
				})
			})
			others.Wait()
			k.awaitWaiting(t, 1)
			if left := k.count(t, test.left); left != 1 {
				t.Errorf("%d are left, not the one that is locked", left)
			}
			if err := holder.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			all.Wait()
			if left := k.count(t, test.left); left != 0 {
				t.Errorf("%d are left", left)
			}
		})
	}
}
