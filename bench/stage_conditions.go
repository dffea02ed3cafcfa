package main

import (
	"context"
	"net/url"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/distance"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// What databases that are not on this machine's disk and loopback are like.
const (
	slowCommit = 2 * time.Millisecond
	roundTrip  = time.Millisecond
)

// elsewhere measures what a slower commit and a longer way change, at every number of workers.
func (b *bench) elsewhere(ctx context.Context) {
	for _, condition := range []struct {
		name          string
		slow, distant bool
	}{{report.SlowCommits, true, false}, {report.Distant, false, true}, {report.SlowAndDistant, true, true}} {
		func() {
			if condition.slow {
				b.cluster.SlowCommits(ctx, slowCommit)
				defer b.cluster.SlowCommits(ctx, 0)
			}
			if condition.distant {
				defer b.main.moveAway(ctx, roundTrip/2)()
			}
			for _, workers := range b.cfg.workers {
				rounds, duration := b.turn(workers)
				b.inTurn(ctx, report.At(condition.name, workers), workers, min(2, rounds), duration*6/10, []operation{
					of(b.main, report.Limit, report.OneRow, ""), of(b.main, report.Packages, report.Refresh, ""), of(b.main, report.HTTP, report.Refresh, ""),
					of(b.main, report.HTTP, report.Get, report.Seen), of(b.main, report.HTTP, report.Update, ""),
				})
			}
		}()
	}
}

// moveAway puts a distance between the database and all that uses it, until back.
func (r *rig) moveAway(ctx context.Context, oneWay time.Duration) (back func()) {
	near := r.URL
	far := must.Get(url.Parse(near))
	address, stop := distance.Start(ctx, far.Host, oneWay)
	far.Host = address
	r.URL = far.String()
	return func() {
		r.URL = near
		stop()
	}
}
