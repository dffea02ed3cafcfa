package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/jobs"
)

// keys counts how often it was looked after. Its first time fails.
type keys struct{ times atomic.Int64 }

func (k *keys) Maintain(context.Context) error {
	if k.times.Add(1) == 1 {
		return errors.New("the database is away")
	}
	return nil
}

// One of the replicas maintains the keys once per hour, and retries after a failure.
func TestKeysAreMaintainedOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)
	k := &keys{}
	var ended []chan error
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	defer cancel()
	for range 2 {
		pool, err := pgxpool.NewWithConfig(t.Context(), s.pool.Config())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		runner, err := jobs.New(jobs.Hurried(jobs.Config{Pool: pool, Sessions: s.sessions, Keys: k, Logger: slog.New(slog.NewTextHandler(s.log, nil))}))
		if err != nil {
			t.Fatal(err)
		}
		end := make(chan error, 1)
		ended = append(ended, end)
		go func() { end <- runner.Run(ctx) }()
	}
	s.awaitState("completed")
	time.Sleep(3 * time.Second) // the other replica's schedule starts within one
	cancel()
	for _, end := range ended {
		if err := <-end; err != nil {
			t.Errorf("Run returned %v", err)
		}
	}
	if n := k.times.Load(); n != 2 {
		t.Errorf("the keys were looked after %d times, want once, and once more after the failure", n)
	}
}
