package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/cluster"
	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/service"
	"github.com/latchkey-sessions/latchkey/bench/rivals"
)

// churningSize is how many sessions there are before any is created or revoked.
const churningSize = 10_000

func (b *bench) build(ctx context.Context) (err error) {
	b.binary = filepath.Join(b.dir, "api")
	if err := service.Build(ctx, b.binary); err != nil {
		return err
	}
	info, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	b.results.Service.BinaryBytes = info.Size()
	b.results.Version = version(ctx)
	b.identity, err = population.NewIdentity()

	return err
}

func version(ctx context.Context) string {
	output, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}

	return strings.TrimSpace(string(output))
}

func (b *bench) startCluster(ctx context.Context) (err error) {
	dir := filepath.Join(b.dir, "database")
	for _, d := range []string{b.dir, dir} {
		if err := os.MkdirAll(d, 0o711); err != nil { //nolint:gosec // as root, another user runs the server
			return err
		}
		if err := os.Chmod(d, 0o711); err != nil { //nolint:gosec // as above
			return err
		}
	}
	if b.cfg.hugePages {
		if b.releaseMemory, err = machine.ReserveHugePages(cluster.Memory()); err != nil {
			return err
		}
	}
	b.cluster, err = cluster.Start(ctx, cluster.Config{Dir: dir, HugePages: b.cfg.hugePages})
	b.meter = &meter{cluster: b.cluster, memoryFrom: slices.Max(b.cfg.workers)}

	return err
}

func (b *bench) fill(ctx context.Context, size int) (err error) {
	b.rigs[size], err = b.populate(ctx, fmt.Sprintf("sessions_%d", size), size, min(b.cfg.sample, size))

	return err
}

func (b *bench) fillChurning(ctx context.Context) (err error) {
	b.churning, err = b.populate(ctx, "churning", churningSize, churningSize)

	return err
}

func (b *bench) populate(ctx context.Context, database string, size, sample int) (*rig, error) {
	url, err := b.cluster.Create(ctx, database)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	p, err := population.New(ctx, b.identity, url, size, sample, b.progress.at)
	if err != nil {
		return nil, err
	}
	b.progress.say(fmt.Sprintf("%s sessions in %.1f s", report.Thousands(float64(size)), time.Since(began).Seconds()))
	dir := filepath.Join(b.dir, database)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	cfg := service.Config{Binary: b.binary, Dir: dir, DatabaseURL: url, Identity: b.identity}
	if b.cfg.serviceConns > 0 {
		cfg.DatabaseURL += fmt.Sprintf("&pool_max_conns=%d", b.cfg.serviceConns)
	}

	r := &rig{Population: p, service: cfg}

	return r, r.capture(ctx)
}

// shown are the settings that the report names, besides those that differ from PostgreSQL's defaults.
var shown = []string{"fsync", "synchronous_commit", "full_page_writes", "wal_level", "wal_compression", "autovacuum"}

func (b *bench) startMeasured(ctx context.Context) error {
	if err := b.cluster.Measure(ctx); err != nil {
		return err
	}
	names := slices.Clone(shown)
	for name := range b.cluster.Settings() {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, err := b.cluster.Show(ctx, name)
		if err != nil {
			return err
		}
		b.results.Settings = append(b.results.Settings, report.Setting{Name: name, Value: value})
	}
	var err error
	b.results.PostgreSQL, err = b.cluster.Show(ctx, "server_version")

	return err
}

func (b *bench) look(ctx context.Context) (err error) {
	if b.results.Machine, err = machine.Look(b.dir); err != nil {
		return err
	}
	for _, size := range b.cfg.sizes {
		p := b.rigs[size]
		s := report.Size{Sessions: size, SampleCount: p.Readers.Len() + p.Rotating.Len()}
		if err := p.Do(ctx, func(conn *pgx.Conn) error {
			return conn.QueryRow(ctx, `SELECT sum(pg_table_size(c.oid))::bigint, sum(pg_indexes_size(c.oid))::bigint, pg_size_bytes(current_setting('shared_buffers'))
				FROM pg_class c WHERE c.oid IN ('"sessionStore"'::regclass, '"sessionStoreToken"'::regclass)`).
				Scan(&s.TableBytes, &s.IndexBytes, &b.results.SharedBuffers)
		}); err != nil {
			return err
		}
		b.results.Sizes = append(b.results.Sizes, s)
	}

	return nil
}

func (b *bench) count(ctx context.Context) (err error) {
	b.results.Counts, err = countOperations(ctx, b.churning)
	for _, c := range b.results.Counts {
		b.progress.say(fmt.Sprintf("%s %s: %.2f round trips, %.0f allocations", c.Operation, c.Variant, c.RoundTrips, c.Allocations))
	}

	return err
}

// startService measures how long the service takes to be ready, on a database that is there.
func (b *bench) startService(ctx context.Context) error {
	for range int(b.times(6, 3)) {
		process, err := service.Start(ctx, b.mainRig().service)
		if err != nil {
			return err
		}
		if err := process.Stop(); err != nil {
			return err
		}
		b.results.Service.Started = append(b.results.Service.Started, microseconds(process.Started)/1000)
	}
	b.progress.say(fmt.Sprintf("ready after %.0f ms", b.results.Service.Started))

	return nil
}

func (b *bench) rivalDuration() time.Duration { return 2 * b.cfg.duration }

// runRivals measures other session stores. What cannot be measured here, for want of Node or a registry, is left out,
// and the report says so.
func (b *bench) runRivals(ctx context.Context) error {
	url, err := b.cluster.Create(ctx, "rivals")
	if err != nil {
		return err
	}
	all, err := rivals.Run(ctx, rivals.Config{
		DatabaseURL: url, Connections: b.cfg.mainWorkers(), Duration: b.rivalDuration(), Sessions: churningSize, Data: population.Data, Log: b.progress.say,
	})
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		b.results.Missing = append(b.results.Missing, err.Error())
		b.progress.say(err.Error())
	}
	for _, r := range all {
		b.results.Rivals = append(b.results.Rivals, report.Rival{
			Name: r.Name, Operation: r.Operation, PerSecond: r.PerSecond, P50: r.P50ms, P99: r.P99ms, Note: r.Note,
		})
	}

	return nil
}

// besideSCS measures introspection in turn with the middleware of scs, which loads the session of a request too: each
// has as many sessions, and the same load.
func (b *bench) besideSCS(ctx context.Context) error {
	ours := b.rigs[b.cfg.sizes[0]]
	url, err := b.cluster.Create(ctx, "scs")
	if err != nil {
		return err
	}
	server, err := rivals.StartSCS(ctx, rivals.Config{
		DatabaseURL: url, Connections: b.cfg.mainWorkers(), Sessions: ours.Size, Data: population.Data,
	})
	if err != nil {
		return err
	}
	defer func() { _ = server.Stop() }() // nothing depends on how it ends
	theirs := sending(operation{layer: report.Rivals, name: rivals.SCSName, variant: report.Seen, rig: ours},
		func() string { return server.Address }, server.Read)

	return b.inTurn(ctx, report.SCSGroup, b.cfg.mainWorkers(), b.edgeRounds(), b.cfg.duration,
		[]operation{theirs, of(ours, report.HTTP, report.Get, report.Seen)})
}
