package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/internal/cluster"
	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/service"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// churningSize is how many sessions there are before any is created or revoked.
const churningSize = 10_000

func (b *bench) build(ctx context.Context) {
	b.binary = filepath.Join(b.dir, "api")
	service.Build(ctx, b.binary)
	info := must.Get(os.Stat(b.binary))
	described, _ := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output() // not of an archive
	b.results.Service.BinaryBytes, b.results.Version = info.Size(), cmp.Or(strings.TrimSpace(string(described)), "unknown")
	b.identity = population.NewIdentity()
	must.Do(os.WriteFile(b.keysFile(), []byte(b.identity.Keys), 0o600))
}

func (b *bench) keysFile() string { return filepath.Join(b.dir, "signing-keys.json") }

func (b *bench) startCluster(ctx context.Context) {
	dir := filepath.Join(b.dir, "database")
	must.Do(os.Mkdir(dir, 0o700))
	for _, d := range []string{b.dir, dir} {
		must.Do(os.Chmod(d, 0o711)) //nolint:gosec // as root, another user runs the server
	}
	b.cluster = cluster.Start(ctx, dir, b.cfg.hugePages)
	b.churning = b.populate(ctx, "churning", churningSize)
}

func (b *bench) makeSizes(ctx context.Context) {
	for _, size := range b.cfg.sizes {
		r := b.populate(ctx, fmt.Sprintf("sessions_%d", size), size)
		b.sized = append(b.sized, r)
		if size == b.cfg.mainSize() {
			b.main = r
		}
	}
}

// populate makes a database of so many sessions.
func (b *bench) populate(ctx context.Context, database string, size int) *rig {
	url := b.cluster.Create(ctx, database)
	began := time.Now()
	p := population.New(ctx, b.identity, url, size, sample)
	b.say("%s sessions in %.1f s", report.Thousands(float64(size)), time.Since(began).Seconds())
	r := &rig{Population: p, binary: b.binary, keysFile: b.keysFile()}
	r.capture(ctx)
	b.rigs = append(b.rigs, r)
	return r
}

func (b *bench) startMeasured(ctx context.Context) {
	b.cluster.Measure(ctx)
	// The report names those that differ from PostgreSQL's defaults, and these.
	names := []string{"fsync", "synchronous_commit", "full_page_writes", "wal_level", "wal_compression", "autovacuum"}
	b.results.Settings = make(map[string]string)
	for _, name := range slices.AppendSeq(names, maps.Keys(b.cluster.Settings)) {
		b.results.Settings[name] = b.cluster.Show(ctx, name)
	}
	b.results.PostgreSQL = b.cluster.Show(ctx, "server_version")
}

func (b *bench) look(ctx context.Context) {
	b.results.Machine = machine.Look(b.dir)
	for _, p := range b.sized {
		s := report.Size{Sessions: p.Size, SampleCount: len(p.Readers.Sessions) + len(p.Rotating.Sessions)}
		p.Read(ctx, `SELECT sum(pg_table_size(c.oid))::bigint, sum(pg_indexes_size(c.oid))::bigint, pg_size_bytes(current_setting('shared_buffers'))
			FROM pg_class c WHERE c.oid IN ('"sessionStore"'::regclass, '"sessionStoreToken"'::regclass)`,
			&s.TableBytes, &s.IndexBytes, &b.results.SharedBuffers)
		b.results.Sizes = append(b.results.Sizes, s)
	}
}

// startService measures how long the service takes to be ready, on a database that is there.
func (b *bench) startService(ctx context.Context) {
	for range either(b.cfg, 6, 3) {
		b.main.openService(ctx)
		b.results.Service.Started = append(b.results.Service.Started, microseconds(b.main.process.Started)/1000)
		b.main.close()
	}
	b.say("ready after %.0f ms", b.results.Service.Started)
}

// count counts what does not depend on the machine: round trips and allocations, of one call at a time.
func (b *bench) count(ctx context.Context) {
	r := b.churning
	defer r.close()
	var trips *atomic.Int64
	r.openStore(ctx, 1, func(c *pgxpool.Config) { trips = testdb.CountTrips(c.ConnConfig) })
	for _, name := range []string{report.Create, report.Get, report.Refresh, report.Update, report.Revoke} {
		for _, variant := range variants(name) {
			count := countCalls(ctx, of(r, report.Packages, name, variant), trips)
			b.results.Counts = append(b.results.Counts, count)
			b.say("%s %s: %.2f round trips, %.0f allocations", name, variant, count.RoundTrips, count.Allocations)
		}
	}
}

func countCalls(ctx context.Context, o operation, trips *atomic.Int64) report.Count {
	// counted is how many calls are counted, after as many that are not.
	const counted = 200

	do := o.prepare(ctx, need{rig: o.rig, variant: o.variant, workers: 1, calls: 2 * counted})
	call := func() {
		for range counted {
			do(ctx, 0)
		}
	}
	call()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	trips.Store(0)
	call()
	runtime.ReadMemStats(&after)
	return report.Count{
		Operation: o.name, Variant: o.variant,
		RoundTrips:     float64(trips.Load()) / counted,
		Allocations:    float64(after.Mallocs-before.Mallocs) / counted,
		AllocatedBytes: float64(after.TotalAlloc-before.TotalAlloc) / counted,
	}
}
