// Package load keeps something busy and measures it: in a closed loop, where each worker begins its next call when the
// last one has ended, which shows how much can be done; and in an open loop, where calls are due at times that do not
// wait for anything, which shows how long they take for clients that do not wait for each other.
package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
)

// ErrUsedUp is what work ends with when there is nothing left that it could do: the measurement ends early, and counts.
var ErrUsedUp = errors.New("there is nothing left to do")

var errOver = errors.New("the time is over")

// Work does one operation, or ends the measurement as package must does. Each worker has a number from 0 on, and does one
// thing at a time.
type Work func(ctx context.Context, worker int)

// Window is when and by how many workers a load is measured.
type Window struct {
	Workers int
	// Warmup is how long the load runs before anything is counted.
	Warmup time.Duration
	// Duration is how long what ends is counted.
	Duration time.Duration
	// Begin and End, if set, are called when counting begins and ends, to read counters elsewhere.
	Begin, End func()
}

// Measured is what was counted.
type Measured struct {
	// Elapsed is how long counting lasted: less than was wanted if something was used up.
	Elapsed time.Duration
	// Latencies are of the operations that ended in that time.
	Latencies *Times
	// Late is, in an open loop, by how much each of them was started too late through the generator's own fault.
	Late *Times
}

// PerSecond returns the throughput.
func (m Measured) PerSecond() float64 { return float64(m.Latencies.TotalCount()) / m.Elapsed.Seconds() }

// Times are durations up to a minute, each kept to three digits.
type Times struct{ *hdrhistogram.Histogram }

// NewTimes returns none.
func NewTimes() *Times {
	return &Times{hdrhistogram.New(int64(time.Microsecond), int64(time.Minute), 3)} //nolint:mnd // digits
}

// Add adds one.
func (t *Times) Add(d time.Duration) {
	_ = t.RecordValue(min(int64(d), int64(time.Minute))) // it is in the range
}

// Milliseconds returns a percentile, 0 to 100.
func (t *Times) Milliseconds(percentile float64) float64 {
	return float64(t.ValueAtPercentile(percentile)) / float64(time.Millisecond)
}

// Closed runs work on all workers, each starting over as soon as it is done.
func Closed(ctx context.Context, window Window, work Work) (Measured, error) {
	return window.run(ctx, work, func(context.Context) (time.Time, time.Duration) { return time.Now(), 0 })
}

// run has each worker do one thing after the other, when next says that it is due.
func (w Window) run(ctx context.Context, work Work, next func(context.Context) (due time.Time, late time.Duration)) (Measured, error) {
	running, end := context.WithCancelCause(ctx)
	defer end(nil)
	var counting atomic.Bool
	all := make([]Measured, w.Workers)
	var workers sync.WaitGroup
	for worker := range w.Workers {
		mine := Measured{Latencies: NewTimes(), Late: NewTimes()}
		all[worker] = mine
		workers.Go(func() {
			for {
				due, late := next(running)
				if running.Err() != nil {
					return
				}
				if err := must.Run(func() { work(ctx, worker) }); err != nil {
					end(err)
					return
				}
				if ended := time.Now(); counting.Load() {
					mine.Latencies.Add(ended.Sub(due))
					mine.Late.Add(late)
				}
			}
		})
	}

	wait(running, w.Warmup)
	warm := running.Err() == nil
	if warm && w.Begin != nil {
		w.Begin()
	}
	counting.Store(warm)
	began := time.Now()
	wait(running, w.Duration)
	counting.Store(false)
	end(errOver)
	sum := Measured{Elapsed: time.Since(began), Latencies: NewTimes(), Late: NewTimes()}
	if warm && w.End != nil {
		w.End()
	}
	workers.Wait()

	switch why := context.Cause(running); {
	case !errors.Is(why, errOver) && !errors.Is(why, ErrUsedUp):
		return Measured{}, why
	case !warm:
		return Measured{}, errors.New("everything was used up before counting began")
	}
	for _, one := range all {
		sum.Latencies.Merge(one.Latencies.Histogram)
		sum.Late.Merge(one.Late.Histogram)
	}
	return sum, nil
}

// wait returns when the time is over, or the context.
func wait(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}

// longestSleep is the time after which a worker that waits for a call checks whether the run is over.
const longestSleep = 20 * time.Millisecond

// Open has calls come at random moments (Poisson arrivals) at the given rate, whether earlier ones have ended or not,
// as independent clients do. A call that finds all workers busy waits. Its latency is counted from the moment at which
// it was due, so that waiting is part of it.
func Open(ctx context.Context, window Window, perSecond float64, seed uint64, work Work) (Measured, error) {
	if perSecond <= 0 {
		return Measured{}, errors.New("an open loop needs a rate above 0")
	}
	calls := &arrivals{
		next: time.Now(), perSecond: perSecond,
		random: rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // arrivals need no secrecy, but repetition
	}
	return window.run(ctx, work, calls.wait)
}

// arrivals say when calls are due. Of the workers that have nothing to do, one waits for the next call's time, and the
// others wait for that one: so the generator wakes up no more often than there are calls.
type arrivals struct {
	mu        sync.Mutex
	next      time.Time
	perSecond float64
	random    *rand.Rand
}

// wait returns when the next call is due, not before that time. It is late through the generator's own fault if the
// worker had been there before.
func (a *arrivals) wait(ctx context.Context) (due time.Time, late time.Duration) {
	came := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()

	due = a.next
	a.next = due.Add(time.Duration(a.random.ExpFloat64() / a.perSecond * float64(time.Second)))
	for left := time.Until(due); left > 0 && ctx.Err() == nil; left = time.Until(due) {
		sleep(min(left, longestSleep))
	}
	if came.Before(due) {
		late = time.Since(due)
	}
	return due, late
}

// sleep asks the kernel: the runtime's own timers may be a millisecond late while the processor has nothing to do. The
// kernel, for its part, adds up to 50 µs unless it is told not to.
func sleep(d time.Duration) {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // without, it is late by a little
	spec := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&spec, nil) // interrupted, it is early by a little
}
