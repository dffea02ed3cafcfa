package groupcommit

import (
	"context"
	"testing"
	"time"
)

// A statement of several callers may take until the last of them has given up,
// whichever came first; it has no limit if one of them waits forever, and a
// caller that hangs up does not cancel it for the others. A single caller's
// statement ends with that caller.
func TestDeadlineOfASharedStatement(t *testing.T) {
	t.Parallel()
	began := time.Now()
	caller := func(after time.Duration) *Call[int] {
		if after == 0 {
			return &Call[int]{ctx: t.Context()}
		}
		ctx, cancel := context.WithDeadline(t.Context(), began.Add(after))
		t.Cleanup(cancel)
		return &Call[int]{ctx: ctx}
	}
	const first, second, third = time.Hour, 2 * time.Hour, 3 * time.Hour
	for name, test := range map[string]struct {
		callers []time.Duration // 0: without a deadline
		want    time.Duration
	}{
		"one":                    {[]time.Duration{first}, first},
		"one without a deadline": {[]time.Duration{0}, 0},
		"the last comes first":   {[]time.Duration{third, first, second}, third},
		"the last in the middle": {[]time.Duration{first, third, second}, third},
		"the last comes last":    {[]time.Duration{first, second, third}, third},
		"the same":               {[]time.Duration{second, second}, second},
		"one forever, the first": {[]time.Duration{0, first}, 0},
		"one forever, the last":  {[]time.Duration{first, second, 0}, 0},
	} {
		var all []*Call[int]
		for _, after := range test.callers {
			all = append(all, caller(after))
		}
		ctx, cancel := lastOf(all)
		deadline, ok := ctx.Deadline()
		switch {
		case ok != (test.want != 0):
			t.Errorf("%s: has a deadline: %v", name, ok)
		case ok && !deadline.Equal(began.Add(test.want)):
			t.Errorf("%s: the deadline is after %v, want %v", name, deadline.Sub(began), test.want)
		}
		cancel()
	}

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	ctx, cancel := lastOf([]*Call[int]{{ctx: gone}, caller(first)})
	defer cancel()
	if ctx.Err() != nil {
		t.Error("one who hung up took the statement from the others")
	}
}
