package verifier

import (
	"context"
	"encoding/binary"
	"log/slog"
	"testing"

	"github.com/google/uuid"
)

// many returns this many revocations, numbered from a first one.
func many(first, n int) []Revocation {
	list := make([]Revocation, n)
	for i := range list {
		binary.BigEndian.PutUint64(list[i].SessionID[8:], uint64(first+i))
		list[i].Until = 1 << 31
	}
	return list
}

// follower is a loaded set, and a reader of its feed that has seen that.
type follower struct {
	t      *testing.T
	set    *Set
	source *catches
	cursor string
}

// catches is a source that is asked about cursors, and knows one session.
type catches struct{ asked int }

var caughtUp = Revocation{SessionID: uuid.Max, Until: 1}

func (c *catches) Since(context.Context, string) ([]Revocation, bool, error) {
	c.asked++
	return []Revocation{caughtUp}, true, nil
}

func newFollower(t *testing.T) *follower {
	t.Helper()
	f := &follower{t: t, set: newSet(DefaultBound, &databaseClock{now: Now, logger: slog.New(slog.DiscardHandler)}), source: new(catches)}
	f.set.Apply(Batch{Reset: true, Proof: Now(), Cursor: "loaded"})
	f.next()
	return f
}

func (f *follower) apply(b Batch) {
	f.t.Helper()
	f.set.Apply(b)
	if n := len(f.set.fresh); n > f.set.history.most {
		f.t.Errorf("%d are kept for the next proof", n)
	}
}

func (f *follower) prove(sessions []Revocation) {
	f.t.Helper()
	f.apply(Batch{Sessions: sessions, Proof: Now(), Cursor: "proven"})
}

func (f *follower) next() Event {
	f.t.Helper()
	e, err := (&Feed{f.set, f.source}).Next(f.t.Context(), f.cursor)
	if err != nil {
		f.t.Fatal(err)
	}
	f.cursor = e.Cursor
	return e
}

// A reader gets everything that was revoked since, or the source is asked:
// nothing is left out because it was too much to remember.
func TestMoreThanIsKept(t *testing.T) {
	t.Parallel()
	const most = 1 << 10
	for name, test := range map[string]struct {
		apply func(*follower)
		told  int // by the set itself; 0 for by the source
	}{
		"as much as is kept, in one batch": {func(f *follower) { f.prove(many(0, most)) }, most},
		"one more, in one batch":           {func(f *follower) { f.prove(many(0, most+1)) }, 0},
		"as much as is kept, in two proofs": {func(f *follower) {
			f.prove(many(0, most/2))
			f.prove(many(most/2, most/2))
		}, most},
		"one more, in two proofs": {func(f *follower) {
			f.prove(many(0, most/2))
			f.prove(many(most/2, most/2+1))
		}, 0},
		"more than is kept, again and again": {func(f *follower) {
			f.prove(many(0, most/2+1))
			f.next()
			f.prove(many(most, most/2+1))
			f.prove(many(2*most, most/2+1))
		}, 0},
		"nearly all of it after a little": {func(f *follower) {
			f.prove(many(0, 10))
			f.next()
			f.prove(many(10, most-5))
			f.prove(many(most+5, 10))
		}, 0},
		"as much as is kept, before one proof": {func(f *follower) {
			f.apply(Batch{Sessions: many(0, most-1)})
			f.prove(many(most-1, 1))
		}, most},
		"one more, before one proof": {func(f *follower) {
			f.apply(Batch{Sessions: many(0, most)})
			f.prove(many(most, 1))
		}, 0},
		"too much, and then a little": {func(f *follower) {
			f.apply(Batch{Sessions: many(0, most+1)})
			f.apply(Batch{Sessions: many(most+1, 1)})
			f.prove(nil)
		}, 0},
		"too much once, and a little later on": {func(f *follower) {
			f.prove(many(0, most+1))
			f.next()
			f.source.asked = 0
			f.prove(nil)
			f.prove(many(most+1, 3))
		}, 3},
		"too much of a set that is then replaced": {func(f *follower) {
			f.apply(Batch{Sessions: many(0, most+1)})
			f.apply(Batch{Reset: true, Proof: Now()})
			f.next()
			f.prove(many(0, 2))
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFollower(t)
			if f.set.history.most != maxHistory {
				t.Errorf("%d are kept, want %d", f.set.history.most, maxHistory)
			}
			f.set.history.most = most
			test.apply(f)
			e := f.next()
			switch isCaughtUp := f.source.asked == 1 && len(e.Sessions) == 1 && e.Sessions[0] == caughtUp; {
			case test.told == 0 && !isCaughtUp:
				t.Errorf("%d sessions; the source was asked %d times", len(e.Sessions), f.source.asked)
			case test.told > 0 && (len(e.Sessions) != test.told || f.source.asked > 0):
				t.Errorf("%d sessions, want %d; the source was asked %d times", len(e.Sessions), test.told, f.source.asked)
			}
			if e.Reset {
				t.Error("the reader had to start over")
			}
			seen := map[uuid.UUID]bool{}
			for _, r := range e.Sessions {
				seen[r.SessionID] = true
			}
			if len(seen) != len(e.Sessions) {
				t.Errorf("%d of %d sessions are told twice", len(e.Sessions)-len(seen), len(e.Sessions))
			}
			for _, b := range f.set.history.batches {
				if len(b.sessions) == 0 {
					t.Error("a proof without sessions is kept")
				}
			}
			if n := f.set.history.size; n > most {
				t.Errorf("%d are kept", n)
			}
		})
	}
}
