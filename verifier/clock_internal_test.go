package verifier

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// Until the database has reported its time, the other clock counts, if there is
// one.
func TestClockUntilItIsTold(t *testing.T) {
	t.Parallel()
	now := Moment{Mono: time.Hour, Wall: time.Unix(1795219300, 0)}
	clock := &databaseClock{now: func() Moment { return now }}
	another, told := now.Wall.Add(time.Minute), now.Wall.Add(time.Hour)
	other := func() time.Time { return another }
	if alone, beside := clock.or(nil)(), clock.or(other)(); !alone.Equal(now.Wall) || !beside.Equal(another) {
		t.Errorf("before it was told: %v, %v", alone, beside)
	}
	clock.learn(told, now)
	if alone, beside := clock.or(nil)(), clock.or(other)(); !alone.Equal(told) || !beside.Equal(told) {
		t.Errorf("since it was told: %v, %v", alone, beside)
	}
}

// A clock that is corrected costs nothing; one that is set back further has the set
// loaded again.
func TestClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	start := Moment{Mono: time.Hour, Wall: time.Unix(1795219300, 0)}
	for back, want := range map[time.Duration]int{0: 0, 2 * time.Second: 0, 3 * time.Second: 1} {
		now, restarts := start, 0
		set := newSet(time.Second, &databaseClock{now: func() Moment { return now }, logger: slog.New(slog.DiscardHandler)})
		set.restartBy(func() { restarts++ })
		set.Apply(Batch{Reset: true, Proof: now, Cursor: "x"})
		now.Wall = now.Wall.Add(-back)
		set.Apply(Batch{Proof: now, Cursor: "x"})
		if restarts != want {
			t.Errorf("set back by %v: %d restarts, want %d", back, restarts, want)
		}
	}
}

// The clock is the first shard's or, while that is not known well enough, another's.
func TestClockOfAnotherShard(t *testing.T) {
	t.Parallel()
	now := Moment{Mono: time.Hour, Wall: time.Unix(1795219300, 0)}
	cfg, err := Config{
		Shards: map[int]Source{1: gone{}}, Now: func() Moment { return now },
		Strict: func(context.Context, string, tokens.Claims) error { return nil },
	}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(claimsOf{}, gone{}, cfg, &databaseClock{now: cfg.Now, logger: cfg.Logger})
	want := func(when string, offset time.Duration, isKnown, isGood bool) {
		t.Helper()
		clock, known := v.Clock()
		if known != isKnown || clock.Offset != offset || (v.ClockErr() == nil) != isGood {
			t.Errorf("%s: %+v, %v, %v", when, clock, known, v.ClockErr())
		}
	}
	pass := func(d time.Duration) { now = now.Add(d) }
	first, second := v.set.clock, v.shards.all()[1].clock
	if first.logger != cfg.Logger || second.logger != cfg.Logger || v.shards.all()[1].logger != cfg.Logger {
		t.Error("a shard logs elsewhere")
	}
	want("nobody has told it, and nothing runs", 0, false, true)
	second.learn(now.Wall.Add(-2*time.Second), now)
	want("only the second is known", 2*time.Second, true, true)
	first.learn(now.Wall.Add(-time.Second), now)
	want("both are known", time.Second, true, true)
	pass(2 * time.Minute)
	want("neither is known well enough", time.Second, true, false)
	second.learn(now.Wall.Add(-2*time.Second), now)
	want("the first is not known well enough", 2*time.Second, true, true)
	first.learn(now.Wall.Add(-time.Second), now)
	want("both are known again", time.Second, true, true)
	v.following.Store(true)
	want("both are known, and it runs", time.Second, true, true)
}
