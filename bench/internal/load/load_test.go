package load_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
)

func TestClosedCountsWhatEndsInTheWindow(t *testing.T) {
	t.Parallel()

	var calls, begun, ended atomic.Int64
	measured, err := load.Closed(t.Context(), load.Window{
		Workers: 4, Warmup: 50 * time.Millisecond, Duration: 200 * time.Millisecond,
		Begin: func() { begun.Store(calls.Load()) }, End: func() { ended.Store(calls.Load()) },
	}, func(int) error {
		time.Sleep(2 * time.Millisecond)
		calls.Add(1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if begun.Load() == 0 {
		t.Error("nothing ran in the warm-up")
	}
	// Each worker may be just about to count its call at either end.
	counted := int64(len(measured.Latencies))
	if between := ended.Load() - begun.Load(); counted < between-8 || counted > between+8 {
		t.Errorf("%d were counted, and %d ended in the window", counted, between)
	}
	if measured.Elapsed < 200*time.Millisecond || measured.Elapsed > 400*time.Millisecond {
		t.Errorf("it lasted %v", measured.Elapsed)
	}
	for _, latency := range measured.Latencies {
		if latency < 2*time.Millisecond {
			t.Fatalf("a latency is %v", latency)
		}
	}
}

func TestClosedEndsWhenEverythingIsUsedUp(t *testing.T) {
	t.Parallel()

	var left atomic.Int64
	left.Store(100)
	measured, err := load.Closed(t.Context(), load.Window{Workers: 2, Duration: time.Hour}, func(int) error {
		time.Sleep(time.Millisecond)
		if left.Add(-1) < 0 {
			return load.ErrUsedUp
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(measured.Latencies); n < 90 || n > 100 {
		t.Errorf("%d of 100 were counted", n)
	}
}

func TestAFailureEndsTheMeasurement(t *testing.T) {
	t.Parallel()

	broken := errors.New("broken")
	for name, run := range map[string]func(load.Window, load.Work) (load.Measured, error){
		"closed": func(w load.Window, work load.Work) (load.Measured, error) { return load.Closed(t.Context(), w, work) },
		"open": func(w load.Window, work load.Work) (load.Measured, error) {
			return load.Open(t.Context(), w, 1000, 1, work)
		},
	} {
		var calls atomic.Int64
		_, err := run(load.Window{Workers: 3, Warmup: 10 * time.Millisecond, Duration: time.Hour}, func(int) error {
			if calls.Add(1) == 50 {
				return broken
			}
			time.Sleep(time.Millisecond)
			return nil
		})
		if !errors.Is(err, broken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestUsedUpInTheWarmupIsAnError(t *testing.T) {
	t.Parallel()

	_, err := load.Closed(t.Context(), load.Window{Workers: 1, Warmup: time.Minute, Duration: time.Minute}, func(int) error {
		return load.ErrUsedUp
	})
	if err == nil {
		t.Error("nothing was measured, and nobody was told")
	}
}

func TestTheEndOfItsContextEndsALoad(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err := load.Closed(ctx, load.Window{Workers: 1, Duration: time.Hour}, func(int) error {
		time.Sleep(time.Millisecond)
		return nil
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestOpenKeepsItsRate(t *testing.T) {
	t.Parallel()

	measured, err := load.Open(t.Context(), load.Window{Workers: 8, Warmup: 50 * time.Millisecond, Duration: time.Second}, 500, 1, func(int) error {
		time.Sleep(time.Millisecond)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if rate := measured.PerSecond(); rate < 400 || rate > 600 {
		t.Errorf("%v calls a second were made, of 500", rate)
	}
}

// A server that hangs for a moment makes all calls late that were due meanwhile, not just the one that it was at.
func TestOpenCountsTheTimeInWhichCallsWait(t *testing.T) {
	t.Parallel()

	var calls atomic.Int64
	measured, err := load.Open(t.Context(), load.Window{Workers: 1, Duration: time.Second}, 200, 1, func(int) error {
		if calls.Add(1) == 20 {
			time.Sleep(300 * time.Millisecond)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slow := 0
	for _, latency := range measured.Latencies {
		if latency > 100*time.Millisecond {
			slow++
		}
	}
	if slow < 20 { // of some 40 that were due in the first 200 ms of the pause
		t.Errorf("only %d calls of %d were slow", slow, len(measured.Latencies))
	}
	if len(measured.Late) != len(measured.Latencies) {
		t.Errorf("%d latenesses for %d latencies", len(measured.Late), len(measured.Latencies))
	}
}
