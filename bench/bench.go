package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/cluster"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// bench is a run.
type bench struct {
	cfg config
	out io.Writer // for people who wait

	dir      string // of this run: the database, the binary, scripts
	binary   string
	identity population.Identity
	cluster  *cluster.Cluster
	rows     []*gathered
	rigs     []*rig // all there are
	sized    []*rig // of each size, the smallest first
	main     *rig   // of the size that all operations are measured with
	churning *rig   // of sessions that are created and revoked: the others keep their size

	results report.Results
}

// stage is a part of a run.
type stage struct {
	name string
	run  func(context.Context)
}

// stages are what is done, in this order.
func (b *bench) stages() []stage {
	measures := slices.DeleteFunc(b.measures(), func(s stage) bool { return !strings.Contains(s.name, b.cfg.only) })
	if len(measures) == 0 {
		must.Do(fmt.Errorf("-only: no stage has %q in its name", b.cfg.only))
	}
	return append([]stage{
		{"build the service", b.build},
		{"make a PostgreSQL cluster", b.startCluster},
		{"make sessions", b.makeSizes},
		{"have PostgreSQL be as it is measured", b.startMeasured},
		{"look at the machine", b.look},
	}, measures...)
}

// measures are the stages that measure something.
func (b *bench) measures() []stage {
	all := []stage{
		{"count round trips and allocations", b.count},
		{"start the service", b.startService},
	}
	for _, workers := range b.cfg.workers {
		all = append(all, stage{fmt.Sprintf("all operations, %d at once", workers), func(ctx context.Context) {
			b.operations(ctx, workers)
			b.churn(ctx, workers)
			if workers == b.cfg.mainWorkers() || !b.cfg.quick {
				b.latencies(ctx, workers)
			}
		}})
	}
	if len(b.cfg.sizes) > 1 {
		all = append(all, stage{"compare sizes", b.compareSizes})
	}
	return append(all,
		stage{"accept tokens at the edge", b.atTheEdge},
		stage{"create and refresh while revocations are followed", b.besideRevocations},
		stage{"from revocation to refusal", b.timeRevocations},
		stage{"a million revoked sessions", b.weighMillion},
		stage{"refresh right after a checkpoint", b.afterCheckpoints},
		stage{"remove expired sessions", b.cleanUpSizes},
		stage{"refresh while a million rows are removed", b.cleanUpBeside},
		stage{"commits that are slow, and a database that is far away", b.elsewhere},
		stage{"introspect and update in turn with scs", b.besideSCS},
		stage{"call " + report.Compas, b.compas},
	)
}

// run measures everything. It leaves nothing behind.
func (b *bench) run(ctx context.Context) report.Results {
	began := time.Now()
	b.dir = must.Get(filepath.Abs(must.Get(os.MkdirTemp(b.cfg.dir, "latchkey-bench-"))))
	defer b.cleanUp(ctx)

	stages := b.stages()
	for i, s := range stages {
		b.say("[%d of %d, after %v] %s", i+1, len(stages), time.Since(began).Round(time.Second), s.name)
		if err := must.Run(func() { s.run(ctx) }); err != nil {
			must.Do(ctx.Err()) // the interruption was deliberate
			must.Do(fmt.Errorf("%s: %w", s.name, err))
		}
	}

	for _, g := range b.rows {
		b.results.Rows = append(b.results.Rows, g.row())
	}
	b.results.Taken, b.results.Took = began.UTC().Truncate(time.Second), time.Since(began).Round(time.Second)
	b.results.Command = strings.TrimSpace("go run . " + strings.Join(b.cfg.arguments, " "))
	b.results.Quick = b.cfg.quick
	b.results.Workers, b.results.Sessions = b.cfg.mainWorkers(), b.cfg.mainSize()
	return b.results
}

// say reports the progress to someone who waits.
func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.out, format+"\n", args...) // an error cannot be reported either
}

func (b *bench) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // even after an interrupt
	defer cancel()
	err := must.Run(b.closeAll)
	if b.cluster != nil {
		err = errors.Join(err, b.cluster.Remove(ctx))
	}
	must.Do(errors.Join(err, os.RemoveAll(b.dir)))
}

// closeAll ends what the rigs have opened.
func (b *bench) closeAll() {
	for _, r := range b.rigs {
		r.close()
	}
}
