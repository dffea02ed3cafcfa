package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// cleanUpSizes measures what it costs to remove sessions from tables of all sizes.
func (b *bench) cleanUpSizes(ctx context.Context) (err error) {
	rigs := make([]*rig, 0, len(b.cfg.sizes)+1)
	if len(b.cfg.sizes) == 1 { // a ratio needs another one
		size := b.cfg.sizes[0] / 10
		if b.small, err = b.populate(ctx, "small", size); err != nil {
			return err
		}
		rigs = append(rigs, b.small)
	}
	for _, size := range b.cfg.sizes {
		rigs = append(rigs, b.rigs[size])
	}
	for _, r := range rigs {
		b.results.Cleanups = append(b.results.Cleanups, report.Cleanup{Sessions: r.Size, Removed: either(b.cfg, 10_000, 2000)})
	}
	for range either(b.cfg, b.cfg.rounds, 1) {
		for i, r := range rigs {
			if err := b.cleanUpOnce(ctx, r, &b.results.Cleanups[i]); err != nil {
				return fmt.Errorf("beside %d sessions: %w", r.Size, err)
			}
		}
	}

	return nil
}

// cleanUpOnce adds sessions that have expired, and measures how they are removed.
func (b *bench) cleanUpOnce(ctx context.Context, r *rig, c *report.Cleanup) error {
	if err := r.AddExpired(ctx, c.Removed); err != nil {
		return err
	}
	before, err := blocks(ctx, r, 0)
	if err != nil {
		return err
	}
	if err := r.openStore(ctx, 1); err != nil {
		return err
	}
	usedBefore, err := b.usage(ctx, 0)
	if err != nil {
		return errors.Join(err, r.close(ctx))
	}
	timed := &timedStore{Store: r.store}
	summary, err := cleanup.Run(ctx, timed, cleanup.Config{})
	used, usageErr := b.usage(ctx, 0)
	// The backend tells what it has read when it ends.
	if err := errors.Join(err, usageErr, r.close(ctx)); err != nil {
		return err
	}
	if int(summary.Expired) != c.Removed {
		return fmt.Errorf("%d sessions were removed, not %d", summary.Expired, c.Removed)
	}
	after, err := blocks(ctx, r, before)
	if err != nil {
		return err
	}
	used = used.minus(usedBefore)
	n := float64(c.Removed)
	c.Microseconds = append(c.Microseconds, microseconds(timed.busy)/n)
	c.DatabaseCPU = append(c.DatabaseCPU, microseconds(used.database)/n)
	c.WAL = append(c.WAL, float64(used.wal)/n)
	c.Blocks = append(c.Blocks, float64(after-before)/n)
	c.Batches = append(c.Batches, float64(summary.Batches))
	b.say("%d sessions removed beside %s: %.0f µs, %.0f bytes of WAL for each", c.Removed, report.Thousands(float64(r.Size)), microseconds(timed.busy)/n, float64(used.wal)/n)

	return nil
}

// blocks is how many blocks were read in the database, from memory or from the disk: it waits until all backends have
// ended and told, and more were read than before.
func blocks(ctx context.Context, r *rig, before int64) (n int64, err error) {
	const told = `SELECT blks_hit + blks_read, NOT EXISTS (SELECT FROM pg_stat_activity
		WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid())
		FROM pg_stat_database WHERE datname = current_database()`

	return n, r.Do(ctx, func(conn *pgx.Conn) error {
		for alone := false; !alone || n <= before; time.Sleep(10 * time.Millisecond) {
			if err := conn.QueryRow(ctx, told).Scan(&n, &alone); err != nil {
				return err
			}
		}
		return nil
	})
}

// timedStore adds up for how long clean-up was at work: it rests as well.
type timedStore struct {
	*sessionstore.Store

	busy time.Duration
}

func (s *timedStore) FindDue(ctx context.Context, rule cleanup.Rule, limit int) ([]uuid.UUID, error) {
	defer s.since(time.Now())

	return s.Store.FindDue(ctx, rule, limit)
}

func (s *timedStore) RemoveDue(ctx context.Context, rule cleanup.Rule, ids []uuid.UUID, timeout time.Duration) (cleanup.Removed, error) {
	defer s.since(time.Now())

	return s.Store.RemoveDue(ctx, rule, ids, timeout)
}

func (s *timedStore) since(began time.Time) { s.busy += time.Since(began) }

// cleanUpBeside measures how long refreshes take while the command removes a million rows, and before.
func (b *bench) cleanUpBeside(ctx context.Context) (err error) {
	const (
		// share is the load, of what is possible.
		share = 0.5
		// recycled is how many WAL segments both take together, and more.
		recycled, recycledQuick = 96, 8
	)
	// Each session has two rows. The time before is about as long as it then takes, as what a disk does now and then is in
	// both.
	expired, quiet := either(b.cfg, 500_000, 10_000), either(b.cfg, time.Minute, 2*time.Second)
	r := b.mainRig()
	defer func() { err = errors.Join(err, r.close(ctx)) }()

	if err := r.AddExpired(ctx, expired); err != nil {
		return err
	}
	// What has just been added is written to the disk before, not beside one of the two. Sessions that have expired lie on
	// pages that nobody has changed for long: clean-up is the first to do so after a checkpoint.
	if err := b.cluster.RecycleWAL(ctx, either(b.cfg, recycled, recycledQuick)); err != nil {
		return err
	}
	if err := r.Touch(ctx); err != nil {
		return err
	}

	o, workers := of(r, report.HTTP, report.Refresh, ""), b.cfg.mainWorkers()
	capacity := b.gather(o.key(report.Main(workers), workers)).PerSecond()
	// Each session must rest before it is refreshed again.
	perSecond := min(capacity*share, float64(r.Rotating.Len())/(2*settled.Seconds()))
	window := load.Window{Workers: workers, Warmup: quiet / warmupShare, Duration: quiet}
	beside := &b.results.CleanupBeside
	if beside.Without, err = b.open(ctx, o, "clean-up", window, perSecond, perSecond/capacity); err != nil {
		return err
	}

	over, ended := new(atomic.Bool), make(chan error, 1)
	prepare := o.prepare
	o.prepare = func(ctx context.Context, n need) (call, error) {
		do, err := prepare(ctx, n)
		return func(ctx context.Context, worker int) error {
			if over.Load() {
				return load.ErrUsedUp
			}
			return do(ctx, worker)
		}, err
	}
	cleaning, cancel := context.WithCancel(ctx)
	defer cancel()
	window.Duration = time.Hour
	window.Begin = func() {
		go func() {
			ended <- b.runCleanUp(cleaning, r, beside)
			over.Store(true)
		}()
	}
	if beside.With, err = b.open(ctx, o, "clean-up", window, perSecond, perSecond/capacity); err != nil {
		return err
	}
	if !over.Load() {
		return errors.New("refreshes ended before clean-up did")
	}
	if err := <-ended; err != nil {
		return err
	}
	if beside.Removed != expired {
		return fmt.Errorf("%d sessions were removed, not %d", beside.Removed, expired)
	}

	return nil
}

// runCleanUp runs the command.
func (b *bench) runCleanUp(ctx context.Context, r *rig, beside *report.CleanupBeside) error {
	cmd := exec.CommandContext(ctx, b.binary, "cleanup", "--json") //nolint:gosec // our own program
	cmd.Env, cmd.Dir = []string{"DATABASE_URL=" + r.URL}, b.dir
	var said strings.Builder
	cmd.Stderr = &said
	output, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("api cleanup: %w: %s", err, &said)
	}
	var summary struct {
		Sessions int
		Seconds  float64
	}
	err = json.Unmarshal(output, &summary)
	beside.Removed, beside.Seconds = summary.Sessions, summary.Seconds

	return err
}
