// Package load keeps something busy and measures it: in a closed loop, where each worker begins its next call when the
// last one has ended, which shows how much can be done; and in an open loop, where calls are due at times that do not
// wait for anything, which shows how long they take for somebody who did not agree to wait.
package load

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// ErrUsedUp is what work returns when there is nothing left that it could do: the measurement ends early, and counts.
var ErrUsedUp = errors.New("there is nothing left to do")

// Work does one operation. Each worker has a number from 0 on, and does one thing at a time.
type Work func(worker int) error

// Window is when and by how many workers a load is measured.
type Window struct {
	Workers int
	// Warmup is for how long the load runs before anything is counted.
	Warmup time.Duration
	// Duration is for how long what ends is counted.
	Duration time.Duration
	// Begin and End, if set, are called when counting begins and ends, to read counters elsewhere.
	Begin, End func()
}

// Measured is what was counted.
type Measured struct {
	// Elapsed is how long counting lasted: less than was wanted if something was used up.
	Elapsed time.Duration
	// Latencies are of the operations that ended in that time, in no order.
	Latencies []time.Duration
	// Late is, in an open loop, by how much each of them was started too late through the generator's own fault.
	Late []time.Duration
}

// PerSecond returns the throughput.
func (m Measured) PerSecond() float64 {
	if m.Elapsed <= 0 {
		return 0
	}

	return float64(len(m.Latencies)) / m.Elapsed.Seconds()
}

// window is a [Window] that is under way.
type window struct {
	Window
	start    time.Time
	counting atomic.Bool
	stopped  atomic.Bool
	stop     chan struct{}
	once     sync.Once
	err      error
}

func (w Window) begin() *window {
	return &window{Window: w, start: time.Now(), stop: make(chan struct{})}
}

// end stops the workers. The first error is what the measurement fails with.
func (w *window) end(err error) {
	w.once.Do(func() {
		if !errors.Is(err, ErrUsedUp) {
			w.err = err
		}
		w.counting.Store(false)
		w.stopped.Store(true)
		close(w.stop)
	})
}

// watch opens and closes the window, and returns for how long it was open.
func (w *window) watch(ctx context.Context) (time.Duration, error) {
	wait := func(until time.Time) bool {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		select {
		case <-timer.C:
			return true
		case <-w.stop:
			return false
		case <-ctx.Done():
			w.end(ctx.Err())
			return false
		}
	}

	if !wait(w.start.Add(w.Warmup)) {
		if w.err == nil {
			w.err = errors.New("everything was used up before counting began")
		}
		return 0, w.err
	}
	if w.Begin != nil {
		w.Begin()
	}
	w.counting.Store(true)
	began := time.Now()
	wait(began.Add(w.Duration))
	w.end(nil)
	elapsed := time.Since(began)
	if w.End != nil {
		w.End()
	}

	return elapsed, w.err
}

// Closed runs work on all workers, each beginning anew as soon as it is done.
func Closed(ctx context.Context, cfg Window, work Work) (Measured, error) {
	w := cfg.begin()
	latencies := make([][]time.Duration, cfg.Workers)
	var workers sync.WaitGroup
	for worker := range cfg.Workers {
		workers.Go(func() {
			mine := make([]time.Duration, 0, 1<<12)
			began := time.Now()
			for !w.stopped.Load() {
				err := work(worker)
				ended := time.Now()
				if err != nil {
					w.end(err)
					break
				}
				if w.counting.Load() {
					mine = append(mine, ended.Sub(began))
				}
				began = ended
			}
			latencies[worker] = mine
		})
	}
	elapsed, err := w.watch(ctx)
	workers.Wait()
	if err != nil {
		return Measured{}, err
	}

	return Measured{Elapsed: elapsed, Latencies: join(latencies)}, nil
}

func join(parts [][]time.Duration) []time.Duration {
	var all []time.Duration
	for _, part := range parts {
		all = append(all, part...)
	}

	return all
}
