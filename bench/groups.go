package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/limits"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// inTurn measures operations one after the other, round by round, and closes what they have opened.
func (b *bench) inTurn(ctx context.Context, group string, workers, rounds int, duration time.Duration, all []operation) (err error) {
	defer func() {
		for _, r := range b.allRigs() {
			err = errors.Join(err, r.close(ctx))
		}
	}()

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
			if !b.progress.terminal {
				b.progress.say(fmt.Sprintf("round %d of %d  %9s/s  %s", round+1, rounds, thousands(perSecond), b.describe(o)))
			}
		}
	}
	if b.progress.terminal {
		for _, o := range wanted {
			b.progress.say(fmt.Sprintf("%9s/s  %s", thousands(b.meter.row(o.key(group, workers)).row.PerSecond()), b.describe(o)))
		}
	}

	return nil
}

func (b *bench) describe(o operation) string {
	if o.rig == nil || len(b.cfg.sizes) == 1 {
		return o.String()
	}

	return fmt.Sprintf("%v, %s sessions", o, thousands(float64(o.rig.population.Size)))
}

// limitOperations are what any service with a database and signed tokens has to do. The function ends their server.
func (b *bench) limitOperations(ctx context.Context, r *rig) ([]operation, func(), error) {
	s := r.population.Rotating.Ahead(1)[0]
	token, err := r.population.RefreshToken(s)
	if err != nil {
		return nil, nil, err
	}
	// As long an answer, and as many claims, as a refresh has.
	answer := fmt.Appendf(nil, `{"access_token":%q,"token_type":"Bearer","expires_in":43200,"refresh_token":%q,"refresh_expires_in":2592000}`, token, token)
	server, err := limits.Start(ctx, answer, jwt.RegisteredClaims{
		Issuer: "http://localhost:8080", Subject: "user-of-the-benchmark", Audience: jwt.ClaimStrings{"http://localhost:8080/oauth2/token"},
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(24 * time.Hour)), IssuedAt: jwt.NewNumericDate(time.Now()),
		ID: r.population.RefreshRow(s).String(),
	})
	if err != nil {
		return nil, nil, err
	}
	stop := func() { _ = server.Stop() } // nothing depends on how it ends

	all := limitOperations(server)
	tools, err := pgbenchOperations(r, b.cluster.Program("pgbench"), b.dir)
	if err != nil {
		stop()
		return nil, nil, err
	}

	return append(all, tools...), stop, nil
}

// loads are the shares of what is possible at which latencies are looked at.
var loads = []float64{0.5, 0.8}

func (b *bench) openDuration() time.Duration { return b.cfg.duration * 2 }

// latencies measures how long requests take at loads below what was possible.
func (b *bench) latencies(ctx context.Context, workers int) (err error) {
	defer func() {
		for _, r := range b.allRigs() {
			err = errors.Join(err, r.close(ctx))
		}
	}()

	all := []operation{httpRefresh(b.mainRig()), httpGet(b.mainRig(), report.Seen), httpCreate(b.churning)}
	for i, o := range all {
		capacity := b.meter.row(o.key(report.Main(workers), workers)).row.PerSecond()
		for j, load := range loads {
			latency, err := b.meter.open(ctx, o, workers, b.openDuration(), capacity*load)
			if err != nil {
				return err
			}
			latency.Load = load
			b.results.Latencies = append(b.results.Latencies, latency)
			b.progress.at(float64(i*len(loads)+j+1) / float64(len(all)*len(loads)))
			b.progress.say(fmt.Sprintf("%s at %2.0f %% (%s/s): p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms",
				o, 100*load, thousands(latency.PerSecond), latency.P50, latency.P99, latency.P999))
		}
	}

	return nil
}

// compareSizes measures the same operations on tables of all sizes.
func (b *bench) compareSizes(ctx context.Context) error {
	var all []operation
	for _, size := range b.cfg.sizes {
		if err := b.rigs[size].population.Touch(ctx); err != nil {
			return err
		}
	}
	for _, make := range []func(*rig) operation{
		bareRefresh, packagesRefresh, httpRefresh,
		bareGet,
		func(r *rig) operation { return packagesGet(r, report.Seen) },
		func(r *rig) operation { return httpGet(r, report.Seen) },
		func(r *rig) operation { return packagesGet(r, report.NotSeen) },
		func(r *rig) operation { return httpGet(r, report.NotSeen) },
	} {
		for _, size := range b.cfg.sizes {
			all = append(all, make(b.rigs[size]))
		}
	}

	return b.inTurn(ctx, report.SizeGroup, b.cfg.mainWorkers(), b.cfg.rounds, b.cfg.duration, all)
}

// afterCheckpoints measures refreshes while each of them has to put a whole page into the WAL, and once that is over.
func (b *bench) afterCheckpoints(ctx context.Context) (err error) {
	defer func() {
		for _, r := range b.allRigs() {
			err = errors.Join(err, r.close(ctx))
		}
	}()

	rounds := int(b.times(2, 1))
	for round := range rounds {
		for i, size := range b.cfg.sizes {
			o := packagesRefresh(b.rigs[size])
			for _, state := range []string{report.AfterCheckpoint, report.Steady} {
				key := o.key(report.CheckpointGroup, b.cfg.mainWorkers())
				key.State = state
				reach := b.cluster.Checkpoint
				if state == report.Steady {
					reach = b.rigs[size].population.Touch
				}
				if err := reach(ctx); err != nil {
					return err
				}
				perSecond, err := b.meter.closed(ctx, o, key, b.cfg.duration)
				if err != nil {
					return err
				}
				b.progress.say(fmt.Sprintf("round %d of %d  %9s/s  %s, %s", round+1, rounds, thousands(perSecond), b.describe(o), state))
			}
			b.progress.at(float64(round*len(b.cfg.sizes)+i+1) / float64(rounds*len(b.cfg.sizes)))
		}
	}

	return nil
}
