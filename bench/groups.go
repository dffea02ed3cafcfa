package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// inTurn measures operations one after the other, round by round, and closes what they have opened.
func (b *bench) inTurn(ctx context.Context, group string, workers, rounds int, duration time.Duration, all []operation) (err error) {
	defer func() { err = errors.Join(err, b.closeAll(ctx)) }()

	var wanted []operation
	for _, o := range all {
		if b.cfg.only == nil || b.cfg.only.MatchString(o.String()) {
			wanted = append(wanted, o)
		}
	}
	for round := range rounds {
		if round > 0 {
			slices.Reverse(wanted) // what drifts meanwhile, a table or the machine, favours none
		}
		for i, o := range wanted {
			perSecond, err := b.meter.closed(ctx, o, o.key(group, workers), duration)
			if err != nil {
				return err
			}
			b.progress.at(float64(round*len(wanted)+i+1) / float64(rounds*len(wanted)))
			b.progress.say(fmt.Sprintf("round %d of %d  %9s/s  %s", round+1, rounds, report.Thousands(perSecond), b.describe(o)))
		}
	}
	return nil
}

func (b *bench) describe(o operation) string {
	if o.rig == nil || len(b.cfg.sizes) == 1 {
		return o.String()
	}

	return fmt.Sprintf("%v, %s sessions", o, report.Thousands(float64(o.rig.Size)))
}

// loads are the shares of what is possible at which latencies are looked at.
var loads = []float64{0.5, 0.8}

func (b *bench) openDuration() time.Duration { return b.cfg.duration * 2 }

// latencies measures how long requests take at loads below what was possible.
func (b *bench) latencies(ctx context.Context, workers int) (err error) {
	defer func() { err = errors.Join(err, b.closeAll(ctx)) }()

	all := []operation{
		of(b.mainRig(), report.HTTP, report.Refresh, ""), of(b.mainRig(), report.HTTP, report.Get, report.Seen), of(b.churning, report.HTTP, report.Create, ""),
	}
	for i, o := range all {
		capacity := b.meter.row(o.key(report.Main(workers), workers)).PerSecond()
		for j, share := range loads {
			latency, err := b.meter.open(ctx, o, load.Window{Workers: workers, Duration: b.openDuration()}, capacity*share)
			if err != nil {
				return err
			}
			latency.Load = share
			b.results.Latencies = append(b.results.Latencies, latency)
			b.progress.at(float64(i*len(loads)+j+1) / float64(len(all)*len(loads)))
			b.progress.say(fmt.Sprintf("%s at %2.0f %% (%s/s): p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms",
				o, 100*share, report.Thousands(latency.PerSecond), latency.P50, latency.P99, latency.P999))
		}
	}

	return nil
}

// compareSizes measures the same operations on tables of all sizes.
func (b *bench) compareSizes(ctx context.Context) error {
	var all []operation
	for _, size := range b.cfg.sizes {
		if err := b.rigs[size].Touch(ctx); err != nil {
			return err
		}
	}
	for _, o := range []struct{ layer, name, variant string }{
		{report.Bare, report.Refresh, ""},
		{report.Packages, report.Refresh, ""},
		{report.HTTP, report.Refresh, ""},
		{report.Bare, report.Get, ""},
		{report.Packages, report.Get, report.Seen},
		{report.HTTP, report.Get, report.Seen},
		{report.Packages, report.Get, report.NotSeen},
		{report.HTTP, report.Get, report.NotSeen},
	} {
		for _, size := range b.cfg.sizes {
			all = append(all, of(b.rigs[size], o.layer, o.name, o.variant))
		}
	}

	return b.inTurn(ctx, report.SizeGroup, b.cfg.mainWorkers(), b.cfg.rounds, b.cfg.duration, all)
}

// afterCheckpoints measures refreshes while each of them has to put a whole page into the WAL, and once that is over.
func (b *bench) afterCheckpoints(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, b.closeAll(ctx)) }()

	rounds := int(b.times(2, 1))
	for round := range rounds {
		for i, size := range b.cfg.sizes {
			o := of(b.rigs[size], report.Packages, report.Refresh, "")
			for _, state := range []string{report.AfterCheckpoint, report.Steady} {
				key := o.key(report.CheckpointGroup, b.cfg.mainWorkers())
				key.State = state
				reach := b.cluster.Checkpoint
				if state == report.Steady {
					reach = b.rigs[size].Touch
				}
				if err := reach(ctx); err != nil {
					return err
				}
				perSecond, err := b.meter.closed(ctx, o, key, b.cfg.duration)
				if err != nil {
					return err
				}
				b.progress.say(fmt.Sprintf("round %d of %d  %9s/s  %s, %s", round+1, rounds, report.Thousands(perSecond), b.describe(o), state))
			}
			b.progress.at(float64(round*len(b.cfg.sizes)+i+1) / float64(rounds*len(b.cfg.sizes)))
		}
	}

	return nil
}
