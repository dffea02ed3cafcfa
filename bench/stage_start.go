package main

import (
	"context"
	"maps"
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
	b.results.Service.BinaryBytes, b.results.Version = info.Size(), "unknown"
	if output, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		b.results.Version = strings.TrimSpace(string(output))
	}
	b.identity, err = population.NewIdentity()

	return err
}

func (b *bench) startCluster(ctx context.Context) (err error) {
	dir := filepath.Join(b.dir, "database")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, d := range []string{b.dir, dir} {
		if err := os.Chmod(d, 0o711); err != nil { //nolint:gosec // as root, another user runs the server
			return err
		}
	}
	if b.cluster, err = cluster.Start(ctx, dir, b.cfg.hugePages); err != nil {
		return err
	}
	b.churning, err = b.populate(ctx, "churning", churningSize)

	return err
}

// populate makes a database of so many sessions.
func (b *bench) populate(ctx context.Context, database string, size int) (*rig, error) {
	url, err := b.cluster.Create(ctx, database)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	p, err := population.New(ctx, b.identity, url, size, sample)
	if err != nil {
		return nil, err
	}
	b.say("%s sessions in %.1f s", report.Thousands(float64(size)), time.Since(began).Seconds())
	dir := filepath.Join(b.dir, database)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	r := &rig{Population: p, service: service.Config{Binary: b.binary, Dir: dir, DatabaseURL: url, Identity: b.identity}}

	return r, r.capture(ctx)
}

func (b *bench) startMeasured(ctx context.Context) (err error) {
	if err := b.cluster.Measure(ctx); err != nil {
		return err
	}
	// The report names those that differ from PostgreSQL's defaults, and these.
	names := slices.AppendSeq([]string{"fsync", "synchronous_commit", "full_page_writes", "wal_level", "wal_compression", "autovacuum"},
		maps.Keys(b.cluster.Settings))
	slices.Sort(names)
	for _, name := range names {
		value, err := b.cluster.Show(ctx, name)
		if err != nil {
			return err
		}
		b.results.Settings = append(b.results.Settings, report.Setting{Name: name, Value: value})
	}
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

// startService measures how long the service takes to be ready, on a database that is there.
func (b *bench) startService(ctx context.Context) error {
	for range either(b.cfg, 6, 3) {
		process, err := service.Start(ctx, b.mainRig().service)
		if err != nil {
			return err
		}
		if err := process.Stop(); err != nil {
			return err
		}
		b.results.Service.Started = append(b.results.Service.Started, microseconds(process.Started)/1000)
	}
	b.say("ready after %.0f ms", b.results.Service.Started)

	return nil
}
