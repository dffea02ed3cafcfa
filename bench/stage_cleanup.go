package main

import (
	"context"
	"encoding/json"
	"os/exec"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// cleanUpSizes measures what it costs to remove sessions from tables of all sizes.
func (b *bench) cleanUpSizes(ctx context.Context) {
	rigs := b.sized
	if len(rigs) == 1 { // a ratio needs another one
		rigs = []*rig{b.populate(ctx, "small", rigs[0].Size/10), rigs[0]}
	}
	for _, r := range rigs {
		b.results.Cleanups = append(b.results.Cleanups, report.Cleanup{Sessions: r.Size, Removed: either(b.cfg, 10_000, 2000)})
	}
	for range either(b.cfg, b.cfg.rounds, 1) {
		for i, r := range rigs {
			b.cleanUpOnce(ctx, r, &b.results.Cleanups[i])
		}
	}
}

// cleanUpOnce adds sessions that have expired, and measures how they are removed.
func (b *bench) cleanUpOnce(ctx context.Context, r *rig, c *report.Cleanup) {
	r.Add(ctx, c.Removed, population.Expired)
	before := blocks(ctx, r, 0)
	r.openStore(ctx, 1)
	defer r.close()
	usedBefore := b.usage(ctx, 0)
	timed := &timedStore{Store: r.store}
	summary := must.Get(cleanup.Run(ctx, timed, cleanup.Config{}))
	used := b.usage(ctx, 0).minus(usedBefore)
	must.Hold(int(summary.Expired) == c.Removed, "%d sessions were removed, not %d", summary.Expired, c.Removed)
	r.close() // the backend tells what it has read when it ends
	after := blocks(ctx, r, before)
	n := float64(c.Removed)
	c.Microseconds = append(c.Microseconds, microseconds(timed.busy)/n)
	c.DatabaseCPU = append(c.DatabaseCPU, microseconds(used.database)/n)
	c.WAL = append(c.WAL, float64(used.wal)/n)
	c.Blocks = append(c.Blocks, float64(after-before)/n)
	c.Batches = append(c.Batches, float64(summary.Batches))
	b.say("%d sessions removed with %s others stored: %.0f µs, %.0f bytes of WAL for each", c.Removed, report.Thousands(float64(r.Size)), microseconds(timed.busy)/n, float64(used.wal)/n)
}

// blocks is how many blocks were read in the database, from memory or from the disk: it waits until all backends have
// ended and told, and more were read than before.
func blocks(ctx context.Context, r *rig, before int64) (n int64) {
	const told = `SELECT blks_hit + blks_read, NOT EXISTS (SELECT FROM pg_stat_activity
		WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid())
		FROM pg_stat_database WHERE datname = current_database()`

	for alone := false; !alone || n <= before; time.Sleep(10 * time.Millisecond) {
		r.Read(ctx, told, &n, &alone)
	}
	return n
}

// timedStore adds up for how long cleanup was at work: it rests as well.
type timedStore struct {
	*sessionstore.Store

	busy time.Duration
}

func (s *timedStore) FindDue(ctx context.Context, rule cleanup.Rule, limit int) (cleanup.Due, error) {
	defer s.since(time.Now())
	return s.Store.FindDue(ctx, rule, limit)
}

func (s *timedStore) RemoveDue(ctx context.Context, rule cleanup.Rule, ids []uuid.UUID, timeout time.Duration) (cleanup.Removed, error) {
	defer s.since(time.Now())
	return s.Store.RemoveDue(ctx, rule, ids, timeout)
}

func (s *timedStore) since(began time.Time) { s.busy += time.Since(began) }

// cleanUpBeside measures how long refreshes take while the command removes a million rows, and before.
func (b *bench) cleanUpBeside(ctx context.Context) {
	// Each session has two rows. The time before is about as long as it then takes, as what a disk does now and then is in
	// both.
	expired, quiet := either(b.cfg, 500_000, 10_000), either(b.cfg, time.Minute, 2*time.Second)
	r := b.main
	defer r.close()
	o, workers := of(r, report.HTTP, report.Refresh, ""), b.cfg.mainWorkers()
	capacity := b.capacity(ctx, o, workers) // with nothing else in the table

	r.Add(ctx, expired, population.Expired)
	// Sessions that have just been added are written to the disk before, not during one of the two. Sessions that have
	// expired are on pages that were not changed for a long time: cleanup is the first to do so after a checkpoint.
	b.cluster.RecycleWAL(ctx, either(b.cfg, 96, 8)) // more than both take together
	r.Touch(ctx)

	// Half of what is possible, and no more than lets each session rest before it is refreshed again.
	share := min(0.5, float64(len(r.Rotating.Sessions))/(2*settled.Seconds())/capacity)
	window := load.Window{Workers: workers, Warmup: quiet / warmupShare, Duration: quiet}
	beside := &b.results.CleanupBeside
	beside.Without = b.open(ctx, o, "cleanup", window, share)

	meanwhile, end := context.WithCancelCause(ctx)
	stop := func() {}
	defer func() { stop() }()
	window.Duration = time.Hour
	window.Begin = func() {
		stop = must.Beside(ctx, func(ctx context.Context) {
			defer end(load.ErrUsedUp)
			b.runCleanUp(ctx, r, beside, expired)
		})
	}
	beside.With = b.open(meanwhile, o, "cleanup", window, share)
	must.Hold(meanwhile.Err() != nil, "refreshes ended before cleanup did")
}

// runCleanUp runs the command.
func (b *bench) runCleanUp(ctx context.Context, r *rig, beside *report.CleanupBeside, expired int) {
	cmd := exec.CommandContext(ctx, b.binary, "cleanup", "--json") //nolint:gosec // our own program
	cmd.Env, cmd.Dir = []string{"LATCHKEY_DATABASE_URL=" + r.URL}, b.dir
	var summary struct {
		Sessions int     `json:"sessions"`
		Seconds  float64 `json:"seconds"`
	}
	must.Do(json.Unmarshal(must.Output(cmd), &summary))
	beside.Removed, beside.Seconds = summary.Sessions, summary.Seconds
	must.Hold(beside.Removed == expired, "%d sessions were removed, not %d", beside.Removed, expired)
}
