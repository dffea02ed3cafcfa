package shards_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func limited(most int, action sessionstore.LimitAction) sessionstore.Config {
	cfg := config()
	cfg.SessionsPerSubject, cfg.SessionsPerSubjectAction = most, action
	return cfg
}

// liveIDs are ada's sessions in all databases, the newest first.
func (k *kit) liveIDs(t *testing.T) (n int, ids []string) {
	t.Helper()
	for _, id := range all(t, 100, func(p sessionstore.ListParams) (sessionstore.Page, error) { return k.List(t.Context(), "ada", p) }) {
		ids = append(ids, id.String())
	}
	return len(ids), ids
}

// The sessions on shards that were the subject's home before count, and the oldest of all end.
func TestTheLimitCountsAllShards(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			const most = 3
			k := three.setup(t, limited(most, sessionstore.EndOldest))
			var made []string
			for i := range 9 { // the home moves with each
				weights := []float64{0, 0, 0}
				weights[i%3] = 1
				k.weigh(t, weights...)
				session, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
				made = append([]string{session.ID.String()}, made...)
				if _, got := k.liveIDs(t); !slices.Equal(got, made[:min(most, len(made))]) {
					t.Fatalf("after %d: %v, want the newest %d of %v", i+1, got, most, made)
				}
			}
		})
	}
}

// The number of sessions that one creation reads and ends is bounded, however many sessions a subject has from before
// there was a limit: the next ones continue.
func TestTheLimitIsReachedInParts(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			const before, most, seen = 120, 2, 2 * sessionstore.DefaultListLimit
			pools, ring := three.pools(t), testkeys.Ring(t)
			k := setup(t, ring, config(), pools...)
			k.weigh(t, 1, 0, 0)
			for range before {
				k.create(t, sessionstore.CreateParams{Subject: "ada"})
			}
			k = setup(t, ring, limited(most, sessionstore.EndOldest), pools...)
			k.weigh(t, 0, 1, 0)
			for _, want := range []int{before - seen + most, most} {
				session, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
				if n, ids := k.liveIDs(t); n != want || ids[0] != session.ID.String() {
					t.Errorf("%d live sessions, want %d with %s the newest: %v", n, want, session.ID, ids)
				}
			}
		})
	}
}

func TestTheLimitRefuses(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			k := three.setup(t, limited(2, sessionstore.RefuseNew))
			k.weigh(t, 1, 0, 0)
			first, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
			k.weigh(t, 0, 1, 0)
			params := sessionstore.CreateParams{Subject: "ada", IdempotencyKey: "second"}
			second, _ := k.create(t, params)
			if again, _ := k.create(t, params); again.ID != second.ID {
				t.Errorf("sent again: %s, want %s", again.ID, second.ID)
			}
			k.weigh(t, 0, 0, 1)
			if _, _, err := k.Create(t.Context(), sessionstore.CreateParams{Subject: "ada"}); !errors.Is(err, sessionstore.ErrTooManySessions) {
				t.Errorf("a third session: %v", err)
			}
			if err := k.Invalidate(t.Context(), first.ID); err != nil {
				t.Fatal(err)
			}
			k.create(t, sessionstore.CreateParams{Subject: "ada"})
			if n, _ := k.liveIDs(t); n != 2 {
				t.Errorf("%d live sessions, want 2", n)
			}
		})
	}
}

// A creation that is sent again ends no session.
func TestTheLimitWithAKey(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			k := three.setup(t, limited(2, sessionstore.EndOldest))
			k.weigh(t, 1, 0, 0)
			first, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
			k.weigh(t, 0, 1, 0)
			params := sessionstore.CreateParams{Subject: "ada", IdempotencyKey: "second"}
			second, _ := k.create(t, params)
			for range 3 {
				if again, _ := k.create(t, params); again.ID != second.ID {
					t.Fatalf("%s, then %s", second.ID, again.ID)
				}
			}
			if _, got := k.liveIDs(t); !slices.Equal(got, []string{second.ID.String(), first.ID.String()}) {
				t.Errorf("%v, want both sessions", got)
			}
		})
	}
}

// A replacement takes the place of the session that it replaces, on whichever shard that is.
func TestTheLimitWithReplacements(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			const most = 2
			k := three.setup(t, limited(most, sessionstore.EndOldest))
			k.weigh(t, 1, 0, 0)
			first, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
			k.weigh(t, 0, 1, 0)
			second, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
			replaced, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: first.ID}, sessionstore.CreateParams{})
			if err != nil {
				t.Fatal(err)
			}
			if _, got := k.liveIDs(t); !slices.Equal(got, []string{replaced.ID.String(), second.ID.String()}) {
				t.Fatalf("%v, want %s in the place of %s, and %s", got, replaced.ID, first.ID, second.ID)
			}
			k.weigh(t, 0, 0, 1)
			guest, pair := k.create(t, sessionstore.CreateParams{})
			became, _, err := k.Replace(t.Context(), sessionstore.Replaced{Token: string(pair.AccessToken)}, sessionstore.CreateParams{Subject: "ada"})
			if err != nil {
				t.Fatal(err)
			}
			if _, got := k.liveIDs(t); !slices.Equal(got, []string{became.ID.String(), replaced.ID.String()}) {
				t.Errorf("after the guest %s signed in: %v, want %s and %s", guest.ID, got, became.ID, replaced.ID)
			}
		})
	}
}

// However many are created at once, on two replicas, the limit holds at the end and each creation
// is answered.
func TestTheLimitWithManyAtOnce(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			const most, crowd = 3, 12
			k := three.setup(t, limited(most, sessionstore.EndOldest))
			guests := make([]string, crowd)
			for i := range guests { // on all shards
				_, pair := k.create(t, sessionstore.CreateParams{})
				guests[i] = string(pair.AccessToken)
			}
			first := k.Router
			k.restart(t)
			second := k.Router
			var creating sync.WaitGroup
			errs := make([]error, 2*crowd)
			for i := range crowd {
				creating.Go(func() { _, _, errs[2*i] = first.Create(t.Context(), sessionstore.CreateParams{Subject: "ada"}) })
				creating.Go(func() {
					_, _, errs[2*i+1] = second.Replace(t.Context(), sessionstore.Replaced{Token: guests[i]}, sessionstore.CreateParams{Subject: "ada"})
				})
			}
			creating.Wait()
			for i, err := range errs {
				if err != nil {
					t.Errorf("creation %d: %v", i, err)
				}
			}
			if n, _ := k.liveIDs(t); n != most {
				t.Errorf("%d live sessions, want %d", n, most)
			}
		})
	}
}
