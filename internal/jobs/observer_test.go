package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// counts is an observer.
type counts struct {
	mu              sync.Mutex
	cleaned, failed int
	kinds           []string
}

func (c *counts) Cleaned(_ cleanup.Summary, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed++
		return
	}
	c.cleaned++
}

func (c *counts) JobFailed(kind string, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last {
		kind += ", for good"
	}
	c.kinds = append(c.kinds, kind)
}

// have waits for numbers of runs that ended well and that failed.
func (c *counts) have(cleaned, failed int) func() bool {
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.cleaned >= cleaned && c.failed >= failed
	}
}

// A run that fails, and the one that follows, are counted; when the last one
// ended is known on every replica.
func TestRunsAreCounted(t *testing.T) {
	t.Parallel()
	s := setupOn(t, testdb.Pool(t))
	observer := &counts{}
	runner, err := jobs.New(jobs.Hurried(jobs.Config{
		Pool: s.pool, Sessions: s.sessions, CleanupInterval: longPeriod, Observer: observer,
		Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	}))
	if err != nil {
		t.Fatal(err)
	}
	if last, err := runner.LastCleanup(t.Context()); err != nil || !last.IsZero() {
		t.Errorf("before the first run: %v, %v", last, err)
	}
	s.sessions.fail(errors.New("the disk is full"))
	began := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx) }()
	s.await("a run that fails", observer.have(0, 1))
	s.sessions.fail(nil)
	s.await("a run that does not", observer.have(1, 1))
	s.awaitState("completed")

	other, err := jobs.New(jobs.Config{Pool: s.pool, Sessions: s.sessions, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	// The database's clock may differ from ours.
	if last, err := other.LastCleanup(t.Context()); err != nil || last.Before(began.Add(-time.Minute)) {
		t.Errorf("the last run ended at %v: %v", last, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(observer.kinds) != 1 || !slices.Contains(jobs.Kinds(), observer.kinds[0]) {
		t.Errorf("failed jobs: %v, of %v", observer.kinds, jobs.Kinds())
	}
}
