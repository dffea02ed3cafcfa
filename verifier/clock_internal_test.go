package verifier

import (
	"log/slog"
	"testing"
	"time"
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
