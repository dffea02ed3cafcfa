// Package cleanup removes sessions that have ended, in small batches.
//
// It promises that its cost follows what it removes, not the size of the
// tables; that each batch is a short transaction of its own, so that being
// interrupted loses nothing; and that of all its runners one works at a time.
package cleanup

import (
	"context"
	"fmt"
	"time"
)

// Defaults of [Config].
const (
	DefaultRetention = 336 * time.Hour
	DefaultBatchSize = 500
	DefaultPause     = 50 * time.Millisecond
)

const (
	// A revoked session is kept until the last of its access tokens has expired
	// (sessionstore.MaxAccessTokenTTL): verifiers that start meanwhile must learn of it.
	minRetention = 25 * time.Hour
	minMaxAge    = time.Hour
	maxBatchSize = 10_000
)

// Store is what cleanup works on. Each Delete removes up to limit sessions, or
// pairs of tokens that a session can do without, in one short transaction and
// returns how many; fewer than limit means that there are no more now. That
// another runner is at work is an error.
type Store interface {
	DeleteExpired(ctx context.Context, retention time.Duration, limit int) (int64, error)
	DeleteRevoked(ctx context.Context, retention time.Duration, limit int) (int64, error)
	DeleteAged(ctx context.Context, age time.Duration, limit int) (int64, error)
	DeleteSuperfluous(ctx context.Context, retention time.Duration, limit int) (int64, error)
	CountExpired(ctx context.Context, retention time.Duration) (int64, error)
	CountRevoked(ctx context.Context, retention time.Duration) (int64, error)
	CountAged(ctx context.Context, age time.Duration) (int64, error)
	CountSuperfluous(ctx context.Context, retention time.Duration) (int64, error)
}

// Config says what is removed and how.
type Config struct {
	// Retention is how long an ended session is kept. Zero means 336 hours; it
	// must be 25 hours or more, for verifiers elsewhere learn from the rows
	// which sessions were revoked.
	Retention time.Duration
	// SessionMaxAge removes sessions so long after their creation, live ones
	// too. Zero means never.
	SessionMaxAge time.Duration
	// DryRun counts what would be removed and removes nothing. A session that
	// falls under several rules is counted under each.
	DryRun bool
	// BatchSize is the number of sessions in a batch. Zero means 500.
	BatchSize int
	// Pause is the rest between two batches. Zero means 50 ms.
	Pause time.Duration
	// Progress, if set, is called after each batch with the sums so far.
	Progress func(Summary)
}

// Summary is what a run did, or with DryRun would do.
type Summary struct {
	DryRun bool
	// Expired, Revoked and Aged are numbers of sessions.
	Expired, Revoked, Aged int64
	// Superfluous is the number of token pairs that Compas left, or of sessions
	// that it began, and that were removed by themselves.
	Superfluous int64
	Batches     int
	Duration    time.Duration
}

// Sessions is the number of all sessions.
func (s Summary) Sessions() int64 { return s.Expired + s.Revoked + s.Aged }

func (c Config) withDefaults() (Config, error) {
	if c.Retention == 0 {
		c.Retention = DefaultRetention
	}
	if c.BatchSize == 0 {
		c.BatchSize = DefaultBatchSize
	}
	if c.Pause == 0 {
		c.Pause = DefaultPause
	}
	switch {
	case c.Retention < minRetention:
		return c, fmt.Errorf("cleanup: the retention is %v, it must be %v or more", c.Retention, minRetention)
	case c.SessionMaxAge < 0 || c.SessionMaxAge > 0 && c.SessionMaxAge < minMaxAge:
		return c, fmt.Errorf("cleanup: the session's maximum age is %v, it must be %v or more, or 0 for none", c.SessionMaxAge, minMaxAge)
	case c.BatchSize < 1 || c.BatchSize > maxBatchSize:
		return c, fmt.Errorf("cleanup: the batch size is %d, it must be between 1 and %d", c.BatchSize, maxBatchSize)
	case c.Pause < 0:
		return c, fmt.Errorf("cleanup: the pause is %v, it must not be negative", c.Pause)
	}
	return c, nil
}

// Run removes what there is to remove, and returns what it did, also with an
// error: what was removed before stays removed, and the next run goes on.
func Run(ctx context.Context, store Store, cfg Config) (Summary, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return Summary{}, err
	}
	run := run{cfg: cfg, start: time.Now(), summary: Summary{DryRun: cfg.DryRun}}
	err = run.kind(ctx, store.DeleteExpired, store.CountExpired, cfg.Retention, &run.summary.Expired)
	if err == nil {
		err = run.kind(ctx, store.DeleteRevoked, store.CountRevoked, cfg.Retention, &run.summary.Revoked)
	}
	if err == nil && cfg.SessionMaxAge > 0 {
		err = run.kind(ctx, store.DeleteAged, store.CountAged, cfg.SessionMaxAge, &run.summary.Aged)
	}
	if err == nil {
		err = run.kind(ctx, store.DeleteSuperfluous, store.CountSuperfluous, cfg.Retention, &run.summary.Superfluous)
	}
	run.summary.Duration = time.Since(run.start)
	if err != nil {
		return run.summary, fmt.Errorf("cleanup: %w", err)
	}
	return run.summary, nil
}

type run struct {
	cfg     Config
	start   time.Time
	summary Summary
}

// kind removes, or counts, all sessions of one kind into sum.
func (r *run) kind(
	ctx context.Context,
	remove func(context.Context, time.Duration, int) (int64, error),
	count func(context.Context, time.Duration) (int64, error),
	before time.Duration, sum *int64,
) error {
	if r.cfg.DryRun {
		n, err := count(ctx, before)
		*sum = n
		return err
	}
	for {
		n, err := remove(ctx, before, r.cfg.BatchSize)
		if err != nil {
			return err
		}
		*sum += n
		r.summary.Batches++
		r.summary.Duration = time.Since(r.start)
		if r.cfg.Progress != nil {
			r.cfg.Progress(r.summary)
		}
		if n < int64(r.cfg.BatchSize) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(r.cfg.Pause):
		}
	}
}
