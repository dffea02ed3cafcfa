package sessionstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// numbers are calls of a statement that doubles what it is given.
type numbers = together[int]

func double(_ context.Context, all []*call[int]) error {
	for _, c := range all {
		c.of *= 2
	}
	return nil
}

// crowd lets n calls wait for a statement that is under way, and returns their
// answers once that has ended.
func crowd(t *testing.T, q *numbers, n int, run func(context.Context, []*call[int]) error) []string {
	t.Helper()
	answers := make([]string, n)
	q.statement = run
	var all sync.WaitGroup
	release := hold(q)
	for i := range n {
		all.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					answers[i] = fmt.Sprint("panic: ", v)
				}
			}()
			c, err := q.do(t.Context(), i)
			if answers[i] = fmt.Sprint(c.of); err != nil {
				answers[i] = err.Error()
			}
		})
	}
	await(t, n, q.length)
	release()
	all.Wait()
	if q.statements != 0 || len(q.waiting) != 0 {
		t.Errorf("%d statements are under way, and %d calls wait", q.statements, len(q.waiting))
	}
	return answers
}

// Each caller gets his own answer, however many share a statement.
func TestCallsTogether(t *testing.T) {
	t.Parallel()
	const n = 3*maxTogether + 1
	var mu sync.Mutex
	var sizes []int
	for i, answer := range crowd(t, new(numbers), n, func(ctx context.Context, all []*call[int]) error {
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

// What the database refuses because of one call, it refuses that one alone. An
// outage is everybody's, and nobody asks again.
func TestOneCallsErrorIsNoOthers(t *testing.T) {
	t.Parallel()
	refuse := func(ctx context.Context, all []*call[int]) error {
		for _, c := range all {
			if c.of == 3 {
				return &pgconn.PgError{Message: "three"}
			}
		}
		return double(ctx, all)
	}
	for i, answer := range crowd(t, new(numbers), 10, refuse) {
		if want := fmt.Sprint(2 * i); i != 3 && answer != want || i == 3 && answer == want {
			t.Errorf("%d: %s", i, answer)
		}
	}

	down, asked := errors.New("down"), 0
	for i, answer := range crowd(t, new(numbers), 10, func(context.Context, []*call[int]) error {
		asked++
		return down
	}) {
		if answer != down.Error() {
			t.Errorf("%d: %s", i, answer)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// Whoever waits for another's statement is answered even if that one panics, and
// the next statement may be sent.
func TestNobodyWaitsForAPanic(t *testing.T) {
	t.Parallel()
	panics := 0
	for i, answer := range crowd(t, new(numbers), 10, func(ctx context.Context, all []*call[int]) error {
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

// Who gives up before his turn takes nobody along.
func TestWhoGivesUpLeavesTheQueue(t *testing.T) {
	t.Parallel()
	q := &numbers{statement: double}
	q.statements = maxStatements
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.do(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(q.waiting) != 0 {
		t.Error("it still waits")
	}
}
