package verifier

import (
	"context"
	"errors"
	"math"
	"testing"
)

// A cursor is read as it was written.
func TestCursorIsReadAsWritten(t *testing.T) {
	t.Parallel()
	for _, version := range []uint64{0, 1, 10, 123_456, math.MaxUint64} {
		for _, shard := range []int{0, 1, 10, shardCount - 1} {
			for _, source := range []string{"", "c", "1.2.3"} {
				want := cursor{name: "k3v9x2mqpa", version: version, shard: shard, source: source}
				if got, err := parseCursor(want.String()); err != nil || got != want {
					t.Errorf("%s: %+v, %v, want %+v", want, got, err, want)
				}
			}
		}
	}
}

// A reader in the middle of a full set continues only with the set that it began. From
// anywhere else it starts over: what the source says was revoked later is not the rest of
// the set.
func TestFeedInTheMiddleOfASet(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		apply        func(*follower)
		name         string // of the set; empty for this one's
		shard        int
		ahead        uint64 // of the set's version
		reset        bool
		asked, later int
	}{
		// Two are in the shards that follow, and all of them are told as later ones.
		"in the set":                        {func(f *follower) { f.prove(many(0, 3)) }, "", 1, 0, false, 0, 5},
		"in another's":                      {func(f *follower) { f.prove(many(0, 3)) }, "other", 1, 0, true, 0, 3},
		"after another's":                   {func(f *follower) { f.prove(many(0, 3)) }, "other", 0, 0, false, 1, 1},
		"after what it never had":           {func(f *follower) { f.prove(many(0, 3)) }, "", 0, 2, false, 1, 1},
		"in the set, since replaced":        {func(f *follower) { f.apply(Batch{Reset: true, Proof: Now()}) }, "", 1, 0, true, 0, 0},
		"after the set, since replaced":     {func(f *follower) { f.apply(Batch{Reset: true, Proof: Now()}) }, "", 0, 0, true, 0, 0},
		"in the set, which no longer knows": {func(f *follower) { f.prove(many(0, 9)) }, "", 1, 0, true, 0, 9},
		"after the set, which does not":     {func(f *follower) { f.prove(many(0, 9)) }, "", 0, 0, false, 1, 1},
	} {
		f := newFollower(t)
		f.set.history.most = 8
		at, err := parseCursor(f.cursor)
		if err != nil {
			t.Fatal(err)
		}
		test.apply(f)
		at.version += test.ahead
		if at.shard = test.shard; test.name != "" {
			at.name = test.name
		}
		f.cursor = at.String()
		if e := f.next(); e.Reset != test.reset || e.More || f.source.asked != test.asked || len(e.Sessions) != test.later {
			t.Errorf("%s: reset %v, more %v, %d sessions; the source was asked %d times", name, e.Reset, e.More, len(e.Sessions), f.source.asked)
		}
	}
}

// A caller that waits for the next proof gets the context's error once the wait is cancelled.
func TestFeedThatIsNoLongerAwaited(t *testing.T) {
	t.Parallel()
	f := newFollower(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if e, err := (&Feed{f.set, f.source}).Next(ctx, f.cursor); !errors.Is(err, context.Canceled) || e.Cursor != "" {
		t.Errorf("%+v, %v", e, err)
	}
}
