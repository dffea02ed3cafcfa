package main

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/cluster"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// cleanUpPatience is for ending everything, also after an interrupt.
const cleanUpPatience = time.Minute

// bench is a run.
type bench struct {
	cfg      config
	progress *progress

	dir      string // of this run: the database, the binary, scripts
	binary   string
	identity population.Identity
	cluster  *cluster.Cluster
	// releaseMemory gives back what was reserved; nil: nothing was.
	releaseMemory func() error
	meter         *meter
	// rigs are of each size. The churning one is of sessions that are created and revoked: the others keep their size.
	rigs     map[int]*rig
	churning *rig
	// small is a table to compare with, where only one size is measured.
	small *rig

	results report.Results
}

// run measures everything that is planned. It leaves nothing behind.
func (b *bench) run(ctx context.Context) (_ report.Results, err error) {
	began := time.Now()
	if b.dir, err = os.MkdirTemp(b.cfg.dir, "latchkey-bench-"); err != nil {
		return report.Results{}, err
	}
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return report.Results{}, err
	}
	b.rigs = make(map[int]*rig)
	defer func() { err = errors.Join(err, b.cleanUp(ctx)) }()

	tasks := b.plan()
	b.progress.plan(tasks)
	defer b.progress.end()
	for _, t := range tasks {
		b.progress.start(t.name, t.estimate)
		if err := t.run(ctx); err != nil {
			if ctx.Err() != nil {
				err = errors.New("interrupted")
			}
			return report.Results{}, err
		}
	}

	b.results.Rows = b.meter.results()
	b.results.Service.Memory, b.results.Service.Connections = b.meter.memory, b.meter.memoryFrom
	b.results.Taken, b.results.Took = began.UTC().Truncate(time.Second), time.Since(began).Round(time.Second)
	b.results.Command = strings.TrimSpace("go run . " + strings.Join(b.cfg.arguments, " "))
	b.results.Quick = b.cfg.quick
	b.results.Workers, b.results.Sessions = b.cfg.mainWorkers(), b.cfg.mainSize()

	return b.results, nil
}

func (b *bench) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpPatience)
	defer cancel()
	err := b.closeAll(ctx)
	if b.cluster != nil {
		err = errors.Join(err, b.cluster.Remove(ctx))
	}
	if b.releaseMemory != nil {
		err = errors.Join(err, b.releaseMemory())
	}

	return errors.Join(err, os.RemoveAll(b.dir))
}

// closeAll ends what the rigs have opened.
func (b *bench) closeAll(ctx context.Context) (err error) {
	for _, r := range append(slices.Collect(maps.Values(b.rigs)), b.churning, b.small) {
		if r != nil {
			err = errors.Join(err, r.close(ctx))
		}
	}

	return err
}

// mainRig is of the size that all operations are measured with.
func (b *bench) mainRig() *rig { return b.rigs[b.cfg.mainSize()] }
