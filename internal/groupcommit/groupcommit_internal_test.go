package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// numbers are calls of a statement that doubles what it is given.
type numbers = Queue[int]

var (
	errRefused = errors.New("refused")
	errDown    = errors.New("down")
)

func newNumbers() *numbers {
	return New(16, double, func(err error) bool { return errors.Is(err, errDown) })
}

func double(_ context.Context, all []*Call[int]) error {
	for _, c := range all {
		c.Of *= 2
	}
	return nil
}

// crowd lets n calls wait for a statement that is under way, and returns their
// answers once that has ended.
func crowd(t *testing.T, q *numbers, n int, run func(context.Context, []*Call[int]) error) []string {
	t.Helper()
	answers := make([]string, n)
	q.statement = run
	var all sync.WaitGroup
	release := q.Hold()
	for i := range n {
		all.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					answers[i] = fmt.Sprint("panic: ", v)
				}
			}()
			c, err := q.Do(t.Context(), i)
			if answers[i] = fmt.Sprint(c.Of); err != nil {
				answers[i] = err.Error()
			}
		})
	}
	await(t, n, q.Waiting)
	release()
	all.Wait()
	if q.statements != 0 || len(q.waiting) != 0 {
		t.Errorf("%d statements are under way, and %d calls wait", q.statements, len(q.waiting))
	}
	return answers
}

// await waits until n calls wait.
func await(t *testing.T, n int, length func() int) {
	t.Helper()
	for began := time.Now(); length() < n; time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Errorf("%d calls wait, not %d", length(), n)
			return
		}
	}
}

// Each caller gets its own answer, however many share a statement.
func TestCallsTogether(t *testing.T) {
	t.Parallel()
	const n = 3*MaxCalls + 1
	var mu sync.Mutex
	var sizes []int
	for i, answer := range crowd(t, newNumbers(), n, func(ctx context.Context, all []*Call[int]) error {
		mu.Lock()
		defer mu.Unlock()
		sizes = append(sizes, len(all))
		return double(ctx, all)
	}) {
		if answer != fmt.Sprint(2*i) {
			t.Errorf("%d: %s", i, answer)
		}
	}
	if len(sizes) != 4 { //nolint:mnd // the three that are full, and the one that is left
		t.Errorf("statements of %v calls", sizes)
	}
}

// An error caused by one call affects only that call. An outage affects all of
// them, and none is repeated.
func TestOneCallsErrorIsNoOthers(t *testing.T) {
	t.Parallel()
	refuse := func(ctx context.Context, all []*Call[int]) error {
		for _, c := range all {
			if c.Of == 3 {
				return errRefused
			}
		}
		return double(ctx, all)
	}
	for i, answer := range crowd(t, newNumbers(), 10, refuse) {
		if want := fmt.Sprint(2 * i); i != 3 && answer != want || i == 3 && answer == want {
			t.Errorf("%d: %s", i, answer)
		}
	}
	q := newNumbers()
	two := []*Call[int]{{Of: 3, ctx: t.Context(), turn: make(chan []*Call[int])}, {Of: 4, ctx: t.Context(), turn: make(chan []*Call[int])}}
	q.statement = refuse
	if q.run(two); !two[0].alone || !two[1].alone {
		t.Error("the statement of two calls fails, and they are not repeated")
	}

	asked := 0
	alone := newNumbers()
	alone.statement = func(context.Context, []*Call[int]) error {
		asked++
		return errRefused
	}
	if _, err := alone.Do(t.Context(), 1); !errors.Is(err, errRefused) || asked != 1 {
		t.Errorf("%v, asked %d times", err, asked)
	}

	asked = 0
	for i, answer := range crowd(t, newNumbers(), 10, func(context.Context, []*Call[int]) error {
		asked++
		return errDown
	}) {
		if answer != errDown.Error() {
			t.Errorf("%d: %s", i, answer)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// Results that a statement recorded before it failed are given to no caller.
func TestAFailedStatementAnswersNobody(t *testing.T) {
	t.Parallel()
	for i, answer := range crowd(t, newNumbers(), 10, func(ctx context.Context, all []*Call[int]) error {
		if err := double(ctx, all); err != nil || len(all) == 1 {
			return err
		}
		return errRefused
	}) {
		if answer != fmt.Sprint(2*i) {
			t.Errorf("%d: %s", i, answer)
		}
	}
}

// A shared statement has until the last of its callers' deadlines, even if the caller that runs it leaves.
func TestASharedStatementOutlivesItsCallers(t *testing.T) {
	t.Parallel()
	within := func(d time.Duration) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		return ctx
	}
	gone, cancel := context.WithTimeout(t.Context(), time.Hour)
	cancel()
	last := within(3 * time.Hour)
	wanted, _ := last.Deadline()

	type span struct{}
	callers := []*Call[int]{{ctx: context.WithValue(gone, span{}, "its")}, {ctx: last}, {ctx: within(2 * time.Hour)}}
	ctx, stop := lastOf(callers)
	defer stop()
	if deadline, ok := ctx.Deadline(); !ok || !deadline.Equal(wanted) || ctx.Err() != nil {
		t.Errorf("it ends at %v (%v), want %v", deadline, ctx.Err(), wanted)
	}
	if ctx.Value(span{}) != "its" {
		t.Error("it is not part of what the caller that runs it does")
	}

	ctx, stop = lastOf(append(callers, &Call[int]{ctx: t.Context()}))
	defer stop()
	if deadline, ok := ctx.Deadline(); ok {
		t.Errorf("one has no deadline, and it ends at %v", deadline)
	}

	ctx, stop = lastOf(callers[:1])
	defer stop()
	if ctx.Err() == nil {
		t.Error("the only caller has gone, and it continues")
	}
}

// A call that waits for another's statement is answered even if that one panics,
// and the next statement may be sent.
func TestNobodyWaitsForAPanic(t *testing.T) {
	t.Parallel()
	panics := 0
	for i, answer := range crowd(t, newNumbers(), 10, func(ctx context.Context, all []*Call[int]) error {
		if len(all) > 1 {
			panic("of one")
		}
		return double(ctx, all)
	}) {
		switch answer {
		case fmt.Sprint(2 * i):
		case "panic: of one":
			panics++
		default:
			t.Errorf("%d: %s", i, answer)
		}
	}
	if panics != 1 {
		t.Errorf("%d callers panicked", panics)
	}
}

// A caller that gives up before its turn affects no other.
func TestWhoGivesUpLeavesTheQueue(t *testing.T) {
	t.Parallel()
	q := newNumbers()
	q.isKept = true
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Do(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if q.Waiting() != 0 {
		t.Error("it still waits")
	}
}

// A caller that gives up while another one's statement includes its call gets the answer.
func TestWhoGivesUpTooLateIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, giveUp := context.WithCancel(t.Context())
		q := New(1, func(ctx context.Context, all []*Call[int]) error {
			giveUp()
			time.Sleep(time.Second)
			return double(ctx, all)
		}, func(error) bool { return true })
		release := q.Hold()
		var all sync.WaitGroup
		for _, ctx := range []context.Context{t.Context(), ctx} {
			all.Go(func() {
				if c, err := q.Do(ctx, 1); err != nil || c.Of != 2 {
					t.Errorf("%d, %v", c.Of, err)
				}
			})
			synctest.Wait()
		}
		release()
		all.Wait()
	})
}
