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

	"github.com/latchkey-sessions/latchkey/bench/internal/cluster"
	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/service"
)

// churningSize is how many sessions there are before any is created or revoked.
const churningSize = 10_000

func (b *bench) build(ctx context.Context) {
	b.binary = filepath.Join(b.dir, "api")
	service.Build(ctx, b.binary)
	info := must.Get(os.Stat(b.binary))
	b.results.Service.BinaryBytes, b.results.Version = info.Size(), "unknown"
	if output, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		b.results.Version = strings.TrimSpace(string(output))
	}
	b.identity = population.NewIdentity()
}

func (b *bench) startCluster(ctx context.Context) {
	dir := filepath.Join(b.dir, "database")
	must.Do(os.Mkdir(dir, 0o700))
	for _, d := range []string{b.dir, dir} {
		must.Do(os.Chmod(d, 0o711)) //nolint:gosec // as root, another user runs the server
	}
	b.cluster = cluster.Start(ctx, dir, b.cfg.hugePages)
	b.churning = b.populate(ctx, "churning", churningSize)
}

// populate makes a database of so many sessions.
func (b *bench) populate(ctx context.Context, database string, size int) *rig {
	url := b.cluster.Create(ctx, database)
	began := time.Now()
	p := population.New(ctx, b.identity, url, size, sample)
	b.say("%s sessions in %.1f s", report.Thousands(float64(size)), time.Since(began).Seconds())
	dir := filepath.Join(b.dir, database)
	must.Do(os.Mkdir(dir, 0o700))
	r := &rig{Population: p, service: service.Config{Binary: b.binary, Dir: dir, DatabaseURL: url, Identity: b.identity}}

	r.capture(ctx)

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
	for _, size := range b.cfg.sizes {
		p := b.rigs[size]
		s := report.Size{Sessions: size, SampleCount: p.Readers.Len() + p.Rotating.Len()}
		p.Read(ctx, `SELECT sum(pg_table_size(c.oid))::bigint, sum(pg_indexes_size(c.oid))::bigint, pg_size_bytes(current_setting('shared_buffers'))
			FROM pg_class c WHERE c.oid IN ('"sessionStore"'::regclass, '"sessionStoreToken"'::regclass)`,
			&s.TableBytes, &s.IndexBytes, &b.results.SharedBuffers)
		b.results.Sizes = append(b.results.Sizes, s)
	}
}

// startService measures how long the service takes to be ready, on a database that is there.
func (b *bench) startService(ctx context.Context) {
	for range either(b.cfg, 6, 3) {
		process := service.Start(ctx, b.mainRig().service)
		must.Do(process.Stop())
		b.results.Service.Started = append(b.results.Service.Started, microseconds(process.Started)/1000)
	}
	b.say("ready after %.0f ms", b.results.Service.Started)
}
