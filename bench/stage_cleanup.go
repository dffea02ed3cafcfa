package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const (
	// removedEach is how many expired sessions are removed from each table in a round.
	removedEach, removedEachQuick = 10_000, 2000
	// removedBeside are a million rows: each session has two.
	removedBeside, removedBesideQuick = 500_000, 10_000
	// baseline is for how long refreshes are watched before clean-up begins: about as long as it then takes, as what a
	// disk does now and then is in both.
	baseline, baselineQuick = time.Minute, 2 * time.Second
	// recycled is how many WAL segments both take together, and more.
	recycled, recycledQuick = 96, 8
	// besideLoad is the share of what is possible.
	besideLoad = 0.5
)

func (b *bench) either(full, quick int) int {
	if b.cfg.quick {
		return quick
	}

	return full
}

// cleanUpSizes measures what it costs to remove sessions from tables of all sizes.
func (b *bench) cleanUpSizes(ctx context.Context) error {
	sizes := slices.Clone(b.cfg.sizes)
	if len(sizes) == 1 { // a ratio needs another one
		small, err := b.populate(ctx, "small", sizes[0]/10, sizes[0]/10) //nolint:mnd // a tenth
		if err != nil {
			return err
		}
		b.small = small
		sizes = append([]int{small.Size}, sizes...)
	}
	for _, size := range sizes {
		b.results.Cleanups = append(b.results.Cleanups, report.Cleanup{Sessions: size, Removed: b.either(removedEach, removedEachQuick)})
	}
	rounds := b.cleanUpRounds()
	for round := range rounds {
		for i := range b.results.Cleanups {
			c := &b.results.Cleanups[i]
			r := b.rigs[c.Sessions]
			if r == nil {
				r = b.small
			}
			if err := b.cleanUpOnce(ctx, r, c); err != nil {
				return fmt.Errorf("clean up beside %d sessions: %w", c.Sessions, err)
			}
			b.progress.at(float64(round*len(sizes)+i+1) / float64(rounds*len(sizes)))
			b.progress.say(fmt.Sprintf("round %d of %d  %d sessions removed beside %s: %.0f µs, %.0f blocks, %.0f bytes of WAL for each", round+1, rounds,
				c.Removed, report.Thousands(float64(c.Sessions)), c.Microseconds[round], c.Blocks[round], c.WAL[round]))
		}
	}

	return nil
}

// cleanUpOnce adds sessions that have expired, and measures how they are removed.
func (b *bench) cleanUpOnce(ctx context.Context, r *rig, c *report.Cleanup) (err error) {
	if err := r.AddExpired(ctx, c.Removed); err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig(r.URL)
	if err != nil {
		return err
	}
	before, err := blocks(ctx, r)
	if err != nil {
		return err
	}
	config.MaxConns = 1
	pool, err := r.runStore(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close(ctx)) }()
	if err := pool.Ping(ctx); err != nil {
		return err
	}
	usedBefore, err := b.meter.usage(ctx, 0)
	if err != nil {
		return err
	}
	timed := &timedStore{Store: r.store}
	summary, err := cleanup.Run(ctx, timed, cleanup.Config{})
	used, usageErr := b.meter.usage(ctx, 0)
	r.stopStore() // the backend tells what it has read when it ends
	if err := errors.Join(err, usageErr); err != nil {
		return err
	}
	if int(summary.Expired) != c.Removed {
		return fmt.Errorf("%d sessions were removed, not %d", summary.Expired, c.Removed)
	}
	after, err := blocksSince(ctx, r, before)
	if err != nil {
		return err
	}
	used = used.minus(usedBefore)
	n := float64(c.Removed)
	c.Microseconds = append(c.Microseconds, microseconds(timed.busy)/n)
	c.DatabaseCPU = append(c.DatabaseCPU, microseconds(used.database)/n)
	c.WAL = append(c.WAL, float64(used.wal)/n)
	c.Blocks = append(c.Blocks, float64(after-before)/n)
	c.Batches = append(c.Batches, summary.Batches)

	return nil
}

// blocks is how many blocks were read in the database, from memory or from the disk, by those who have told.
func blocks(ctx context.Context, r *rig) (n int64, err error) {
	return n, r.Do(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()`).Scan(&n)
	})
}

// blocksSince waits until a backend that is ending has told.
func blocksSince(ctx context.Context, r *rig, before int64) (after int64, err error) {
	const told = `SELECT blks_hit + blks_read, NOT EXISTS (SELECT FROM pg_stat_activity
		WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid())
		FROM pg_stat_database WHERE datname = current_database()`

	return after, r.Do(ctx, func(conn *pgx.Conn) error {
		for alone := false; !alone || after <= before; time.Sleep(10 * time.Millisecond) {
			if err := conn.QueryRow(ctx, told).Scan(&after, &alone); err != nil {
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
	r := b.mainRig()
	defer func() { err = errors.Join(err, r.close(ctx)) }()

	expired := b.either(removedBeside, removedBesideQuick)
	if err := r.AddExpired(ctx, expired); err != nil {
		return err
	}
	// What has just been added is written to the disk before, not beside one of the two. Sessions that have expired lie on
	// pages that nobody has changed for long: clean-up is the first to do so after a checkpoint.
	if err := b.cluster.RecycleWAL(ctx, b.either(recycled, recycledQuick)); err != nil {
		return err
	}
	if err := r.Touch(ctx); err != nil {
		return err
	}

	o, workers := of(r, report.HTTP, report.Refresh, ""), b.cfg.mainWorkers()
	capacity := b.meter.row(o.key(report.Main(workers), workers)).PerSecond()
	// Each session must rest before it is refreshed again.
	perSecond := min(capacity*besideLoad, float64(r.Rotating.Len())/(2*settled.Seconds()))
	beside := report.CleanupBeside{Sessions: r.Size, Load: perSecond / capacity}
	quiet := time.Duration(b.either(int(baseline), int(baselineQuick)))
	if beside.Without, err = b.meter.open(ctx, o, load.Window{Workers: workers, Duration: quiet}, perSecond); err != nil {
		return err
	}
	b.progress.say(fmt.Sprintf("%s at %s/s without clean-up: p50 %.2f ms, p99 %.2f ms", o, report.Thousands(beside.Without.PerSecond), beside.Without.P50, beside.Without.P99))

	over, ended := new(atomic.Bool), make(chan cleanedUp, 1)
	during := o
	during.prepare = func(ctx context.Context, n need) (call, error) {
		do, err := o.prepare(ctx, n)
		return func(ctx context.Context, worker int) error {
			if over.Load() {
				return load.ErrUsedUp
			}
			return do(ctx, worker)
		}, err
	}
	cleaning, cancel := context.WithCancel(ctx)
	defer cancel()
	beside.With, err = b.meter.open(ctx, during, load.Window{
		Workers: workers, Warmup: quiet / warmupShare, Duration: time.Hour,
		Begin: func() {
			go func() {
				ended <- b.runCleanUp(cleaning, r, expired)
				over.Store(true)
			}()
		},
	}, perSecond)
	if err != nil {
		return err
	}
	if !over.Load() {
		return errors.New("refreshes ended before clean-up did")
	}
	done := <-ended
	if done.err != nil {
		return done.err
	}
	beside.Removed, beside.Seconds = done.Sessions, done.Seconds
	b.results.CleanupBeside = beside
	b.progress.say(fmt.Sprintf("while %s rows were removed in %.0f s: p50 %.2f ms, p99 %.2f ms",
		report.Thousands(float64(2*done.Sessions)), done.Seconds, beside.With.P50, beside.With.P99))

	return nil
}

// cleanedUp is what the command says.
type cleanedUp struct {
	Sessions int     `json:"sessions"`
	Seconds  float64 `json:"seconds"`

	err error
}

// runCleanUp runs the command.
func (b *bench) runCleanUp(ctx context.Context, r *rig, expired int) (done cleanedUp) {
	cmd := exec.CommandContext(ctx, b.binary, "cleanup", "--json") //nolint:gosec // our own program
	cmd.Env, cmd.Dir = []string{"DATABASE_URL=" + r.URL}, b.dir
	var said strings.Builder
	cmd.Stderr = &said
	output, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(output, &done)
	}
	if err == nil && done.Sessions != expired {
		err = fmt.Errorf("%d sessions were removed, not %d", done.Sessions, expired)
	}
	if err != nil {
		done.err = fmt.Errorf("api cleanup: %w: %s", err, &said)
	}

	return done
}
