package events

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
)

// lookInterval is how late a delivery derived by another replica is noticed.
const lookInterval = time.Second

// Runner derives and delivers events. Make it with [New].
type Runner struct {
	db          isolation.Pool
	endpoints   []*endpoint
	wanted      []byte
	firstClient string
	log         *slog.Logger
	observer    Observer
	// most is how many events of a kind are derived in one transaction.
	most int
	// failing is how many of the repeated tasks are failing.
	failing atomic.Int32
}

// Names returns those of the endpoints.
func (r *Runner) Names() []string {
	names := make([]string, len(r.endpoints))
	for i, e := range r.endpoints {
		names[i] = e.Name
	}
	return names
}

// repeat runs a task periodically, and when it is woken; a failed task is retried soon. The failure is
// logged once, and so is the recovery, however many tasks fail at the same time: usually because of the
// database.
func (r *Runner) repeat(ctx context.Context, every time.Duration, woken <-chan struct{}, what string, do func(context.Context) error) {
	fails := false
	for {
		err := do(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !fails && r.failing.Add(1) == 1:
			r.log.WarnContext(ctx, "events wait", "what", what, "error", err)
		case err == nil && fails && r.failing.Add(-1) == 0:
			r.log.InfoContext(ctx, "events continue")
		}
		pause := every
		if fails = err != nil; fails {
			pause = min(every, lookInterval)
		}
		select {
		case <-time.After(pause):
		case <-woken:
		case <-ctx.Done():
			return
		}
	}
}
