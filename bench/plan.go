package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// task is a part of a run, with a guess at how long it takes.
type task struct {
	name     string
	estimate time.Duration
	run      func(context.Context) error
}

// What an operation costs besides the time in which it is measured: connections, tokens, the garbage of the last one.
const besides = 200 * time.Millisecond

// plan is what is done, in this order.
func (b *bench) plan() []task {
	tasks := []task{
		{"build the service", 8 * time.Second, b.build},
		{"make a PostgreSQL cluster", 2 * time.Second, b.startCluster},
	}
	for _, size := range b.cfg.sizes {
		tasks = append(tasks, task{
			fmt.Sprintf("make %s sessions", report.Thousands(float64(size))), time.Second + time.Duration(size)*8*time.Microsecond,
			func(ctx context.Context) error { return b.fill(ctx, size) },
		})
	}
	tasks = append(tasks,
		task{"make sessions to create and revoke beside", time.Second, b.fillChurning},
		task{"start PostgreSQL as it is measured", b.perMillion(time.Second, time.Second), b.startMeasured},
		task{"look at the machine", time.Second, b.look},
	)
	if b.cfg.only == nil {
		tasks = append(tasks,
			task{"count round trips and allocations", 2 * time.Second, b.count},
			task{"start the service", b.times(6, 3) * 500 * time.Millisecond, b.startService},
		)
	}
	for _, workers := range b.cfg.workers {
		tasks = append(tasks, b.mainTasks(workers)...)
	}
	if len(b.cfg.sizes) > 1 {
		tasks = append(tasks, task{"compare sizes", time.Duration(8*len(b.cfg.sizes)*b.cfg.rounds)*(b.cfg.duration+besides) +
			b.perMillion(5*time.Second, 2*time.Second), b.compareSizes})
	}
	edge := func(operations int) time.Duration {
		return time.Duration(operations*b.edgeRounds())*(b.cfg.duration+b.cfg.duration/warmupShare+besides) + time.Second
	}
	tasks = append(tasks,
		task{"accept tokens at the edge", edge(4), b.atTheEdge},
		task{"create and refresh beside revocations", edge(8), b.besideRevocations},
	)
	if b.cfg.only == nil {
		tasks = append(tasks,
			task{"from revocation to refusal", b.times(10, 2) * time.Second, b.timeRevocations},
			task{"a million revoked sessions", time.Second, b.weighMillion},
		)
		tasks = append(tasks, task{"refresh right after a checkpoint", time.Duration(len(b.cfg.sizes)) * b.times(2, 1) *
			(2*b.cfg.duration + b.perMillion(time.Second, 300*time.Millisecond)), b.afterCheckpoints})
		expired := time.Duration(b.either(removedBeside, removedBesideQuick))
		tasks = append(tasks,
			task{"remove expired sessions", time.Duration(len(b.cfg.sizes)*b.cleanUpRounds()) * b.times(4, 2) * time.Second, b.cleanUpSizes},
			task{"refresh while a million rows are removed", time.Duration(b.either(int(baseline), int(baselineQuick))) + expired*200*time.Microsecond, b.cleanUpBeside},
		)
		if !b.cfg.noRivals {
			tasks = append(tasks, task{"introspect in turn with scs", edge(2) + 6*time.Second, b.besideSCS}) //nolint:mnd // to build its server
			tasks = append(tasks, task{"other session stores", 15*time.Second + 8*b.rivalDuration(), b.runRivals})
		}
	}

	return tasks
}

func (b *bench) times(full, quick int) time.Duration {
	if b.cfg.quick {
		return time.Duration(quick)
	}

	return time.Duration(full)
}

func (b *bench) cleanUpRounds() int { return b.either(b.cfg.rounds, 1) }

// edgeRounds is one in a quick run: what there is to see is whether anything is far off.
func (b *bench) edgeRounds() int {
	if b.cfg.quick {
		return 1
	}

	return max(5, b.cfg.rounds) //nolint:mnd // they are quick, and what they are to show is small
}

// perMillion is a time that grows with the largest table.
func (b *bench) perMillion(base, each time.Duration) time.Duration {
	return base + each*time.Duration(slices.Max(b.cfg.sizes)/1_000_000)
}

// mainTasks are all operations at a number of workers. At the one that the targets are about, there are more rounds, and
// limits that have nothing to do with a database.
func (b *bench) mainTasks(workers int) []task {
	rounds, duration := b.cfg.rounds, b.cfg.duration
	operations := 13
	atMain := workers == b.cfg.mainWorkers()
	if atMain {
		operations += 5
	} else {
		rounds, duration = min(2, rounds), duration*6/10
	}
	turn := func(operations int) time.Duration {
		return time.Duration(operations*rounds) * (duration + duration/warmupShare + besides)
	}
	tasks := []task{
		{fmt.Sprintf("all operations, %d at once", workers), turn(operations), func(ctx context.Context) error {
			return b.operations(ctx, workers, rounds, duration, atMain)
		}},
		{fmt.Sprintf("create and revoke, %d at once", workers), turn(6), func(ctx context.Context) error {
			var all []operation
			for _, name := range []string{report.Create, report.Revoke} {
				for _, layer := range []string{report.Bare, report.Packages, report.HTTP} {
					all = append(all, of(b.churning, layer, name, ""))
				}
			}
			return b.inTurn(ctx, report.Main(workers), workers, rounds, duration, all)
		}},
	}
	if b.cfg.only == nil && (atMain || !b.cfg.quick) {
		tasks = append(tasks, task{
			fmt.Sprintf("latencies, %d connections", workers), time.Duration(3*len(loads)) * (b.openDuration() + b.openDuration()/warmupShare + besides),
			func(ctx context.Context) error { return b.latencies(ctx, workers) },
		})
	}

	return tasks
}

// operations runs everything that leaves the table as large as it was.
func (b *bench) operations(ctx context.Context, workers, rounds int, duration time.Duration, atMain bool) (err error) {
	r := b.mainRig()
	if err := r.Touch(ctx); err != nil {
		return err
	}
	var all []operation
	for _, o := range []struct{ layer, name, variant string }{
		{report.Limit, report.OneRow, ""},
		{report.Bare, report.Refresh, ""},
		{report.Packages, report.Refresh, ""},
		{report.HTTP, report.Refresh, ""},
		{report.Bare, report.Get, ""},
		{report.Packages, report.Get, report.Seen},
		{report.HTTP, report.Get, report.Seen},
		{report.Packages, report.Get, report.NotSeen},
		{report.HTTP, report.Get, report.NotSeen},
		{report.HTTP, report.Load, ""},
		{report.Bare, report.Update, ""},
		{report.Packages, report.Update, ""},
		{report.HTTP, report.Update, ""},
	} {
		all = append(all, of(r, o.layer, o.name, o.variant))
	}
	if atMain {
		more, stop, err := b.limitOperations(ctx, r)
		if err != nil {
			return err
		}
		defer stop()
		all = append(all, more...)
	}

	return b.inTurn(ctx, report.Main(workers), workers, rounds, duration, all)
}
