package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// longestSleep is after what time somebody who waits for a call looks whether it is all over.
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
// kernel, for its part, takes the liberty of 50 µs if nobody asks it not to.
func sleep(d time.Duration) {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // without, it is late by a little
	spec := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&spec, nil) // interrupted, it is early by a little
}
