package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// longestSleep is after what time somebody who waits for a call looks whether it is all over.
const longestSleep = 20 * time.Millisecond

// Open has calls come at random moments (Poisson arrivals) at the given rate, whether earlier ones have ended or not,
// as independent clients do. A call that finds all workers busy waits. Its latency is counted from the moment at which
// it was due, so that waiting is part of it.
func Open(ctx context.Context, cfg Window, perSecond float64, seed uint64, work Work) (Measured, error) {
	if perSecond <= 0 {
		return Measured{}, errors.New("an open loop needs a rate above 0")
	}
	w := cfg.begin()
	calls := &arrivals{
		window: w, next: w.start, perSecond: perSecond,
		random: rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // arrivals need no secrecy, but repetition
	}
	latencies, late := make([][]time.Duration, cfg.Workers), make([][]time.Duration, cfg.Workers)
	var workers sync.WaitGroup
	for worker := range cfg.Workers {
		workers.Go(func() {
			for {
				due, lateness := calls.wait()
				if w.stopped.Load() {
					return
				}
				if err := work(worker); err != nil {
					w.end(err)
					return
				}
				if ended := time.Now(); w.counting.Load() {
					latencies[worker] = append(latencies[worker], ended.Sub(due))
					late[worker] = append(late[worker], lateness)
				}
			}
		})
	}
	elapsed, err := w.watch(ctx)
	workers.Wait()
	if err != nil {
		return Measured{}, err
	}

	return Measured{Elapsed: elapsed, Latencies: join(latencies), Late: join(late)}, nil
}

// arrivals say when calls are due. Of the workers that have nothing to do, one waits for the next call's time, and the
// others wait for that one: so the generator wakes up no more often than there are calls.
type arrivals struct {
	*window

	mu        sync.Mutex
	next      time.Time
	perSecond float64
	random    *rand.Rand
}

// wait returns when the next call is due, not before that time. It is late through the generator's own fault if the
// worker had been there before.
func (a *arrivals) wait() (due time.Time, late time.Duration) {
	came := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()

	due = a.next
	a.next = due.Add(time.Duration(a.random.ExpFloat64() / a.perSecond * float64(time.Second)))
	for left := time.Until(due); left > 0 && !a.stopped.Load(); left = time.Until(due) {
		sleep(min(left, longestSleep))
	}
	if came.Before(due) {
		late = time.Since(due)
	}

	return due, late
}
