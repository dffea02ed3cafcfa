package main

import (
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/cluster"
	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// turn is how long, and in how many rounds, operations are measured at a number of workers: more at the one that the
// targets are about.
func (b *bench) turn(workers int) (rounds int, duration time.Duration) {
	if workers == b.cfg.mainWorkers() {
		return b.cfg.rounds, b.cfg.duration
	}
	return min(2, b.cfg.rounds), b.cfg.duration * 6 / 10
}

// edgeRounds is one in a quick run: what there is to see is whether anything is far off. Otherwise they are many: they are
// quick, and what they are to show is small.
func (b *bench) edgeRounds() int { return either(b.cfg, max(5, b.cfg.rounds), 1) }

// allLayers are operations of these names through each layer, in all their variants.
func allLayers(r *rig, names ...string) (all []operation) {
	for _, name := range names {
		all = append(all, of(r, report.Bare, name, ""))
		for _, variant := range variants(name) {
			all = append(all, of(r, report.Packages, name, variant), of(r, report.HTTP, name, variant))
		}
	}
	return all
}

// variants tells apart what a get costs for a token that came before, and for another one.
func variants(name string) []string {
	if name == report.Get {
		return []string{report.Seen, report.NotSeen}
	}
	return []string{""}
}

// operations runs everything that leaves the table as large as it was. Where the targets are looked at, there are limits
// that have nothing to do with a database too.
func (b *bench) operations(ctx context.Context, workers int) {
	r := b.main
	defer r.close()
	r.Touch(ctx)
	all := append([]operation{of(r, report.Limit, report.OneRow, "")}, allLayers(r, report.Refresh, report.Get)...)
	all = append(append(all, of(r, report.HTTP, report.Load, "")), allLayers(r, report.Update)...)
	if workers == b.cfg.mainWorkers() {
		all = append(all, b.limitOperations(ctx, r)...)
	}
	rounds, duration := b.turn(workers)
	b.inTurn(ctx, report.Main(workers), workers, rounds, duration, all)
}

// churn creates and revokes.
func (b *bench) churn(ctx context.Context, workers int) {
	rounds, duration := b.turn(workers)
	b.inTurn(ctx, report.Main(workers), workers, rounds, duration, allLayers(b.churning, report.Create, report.Revoke))
}

// latencies measures how long requests take at loads below what was possible.
func (b *bench) latencies(ctx context.Context, workers int) {
	defer b.closeAll()

	for _, o := range []operation{
		of(b.main, report.HTTP, report.Refresh, ""), of(b.main, report.HTTP, report.Get, report.Seen), of(b.churning, report.HTTP, report.Create, ""),
	} {
		for _, share := range []float64{0.5, 0.8} {
			duration := 2 * b.cfg.duration
			window := load.Window{Workers: workers, Warmup: duration / warmupShare, Duration: duration}
			b.results.Latencies = append(b.results.Latencies, b.open(ctx, o, "latency", window, share))
		}
	}
}

// compareSizes measures the same operations on tables of all sizes.
func (b *bench) compareSizes(ctx context.Context) {
	// By operation, as those of the same operation are compared.
	byOperation := make([][]operation, 8)
	for _, r := range b.sized {
		r.Touch(ctx)
		for i, o := range allLayers(r, report.Refresh, report.Get) {
			byOperation[i] = append(byOperation[i], o)
		}
	}
	b.inTurn(ctx, report.SizeGroup, b.cfg.mainWorkers(), b.cfg.rounds, b.cfg.duration, slices.Concat(byOperation...))
}

// afterCheckpoints measures refreshes while each of them has to put a whole page into the WAL, and once that is over.
func (b *bench) afterCheckpoints(ctx context.Context) {
	defer b.closeAll()

	for range either(b.cfg, 2, 1) {
		for _, r := range b.sized {
			o := of(r, report.Packages, report.Refresh, "")
			key := o.key(report.CheckpointGroup, b.cfg.mainWorkers())
			for _, state := range []struct {
				name  string
				reach func(context.Context)
			}{{report.AfterCheckpoint, b.cluster.Checkpoint}, {report.Steady, r.Touch}} {
				state.reach(ctx)
				key.State = state.name
				b.closed(ctx, o, key, b.cfg.duration)
			}
		}
	}
}

// What databases that are not on this machine's disk and loopback are like.
const (
	slowCommit = 2 * time.Millisecond
	roundTrip  = time.Millisecond
)

// elsewhere measures what a slower commit and a longer way change, at every number of workers.
func (b *bench) elsewhere(ctx context.Context) {
	for _, condition := range []struct {
		name            string
		slower, further time.Duration
	}{{report.SlowCommits, slowCommit, 0}, {report.Distant, 0, roundTrip}, {report.SlowAndDistant, slowCommit, roundTrip}} {
		b.cluster.SlowCommits(ctx, condition.slower)
		back := b.main.moveAway(ctx, condition.further/2)
		for _, workers := range b.cfg.workers {
			rounds, duration := b.turn(workers)
			b.inTurn(ctx, report.At(condition.name, workers), workers, min(2, rounds), duration*6/10, []operation{
				of(b.main, report.Limit, report.OneRow, ""), of(b.main, report.Packages, report.Refresh, ""), of(b.main, report.HTTP, report.Refresh, ""),
				of(b.main, report.HTTP, report.Get, report.Seen), of(b.main, report.HTTP, report.Update, ""),
			})
		}
		back()
	}
	b.cluster.SlowCommits(ctx, 0)
}

// moveAway puts a distance between the database and all that uses it, until back.
func (r *rig) moveAway(ctx context.Context, oneWay time.Duration) (back func()) {
	if oneWay == 0 {
		return func() {}
	}
	near := r.URL
	far := must.Get(url.Parse(near))
	address, stop := cluster.Distance(ctx, far.Host, oneWay)
	far.Host = address
	r.URL = far.String()
	return func() {
		r.URL = near
		stop()
	}
}
