package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/replay"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/service"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// bareOneRow is the limit of whatever changes a session durably.
func bareOneRow(r *rig) operation {
	var callers []*replay.Caller
	return operation{
		layer: report.Limit, name: report.OneRow, rig: r,
		prepare: func(ctx context.Context, workers, _ int) (err error) {
			callers, err = r.callers(ctx, workers, r.statements.oneRow)
			return err
		},
		do: func(ctx context.Context, worker int) error {
			return callers[worker].Call(ctx, r.population.RefreshRow(r.population.Rotating.Next()))
		},
	}
}

func bareRefresh(r *rig) operation {
	var callers []*replay.Caller
	return operation{
		layer: report.Bare, name: report.Refresh, rig: r,
		prepare: func(ctx context.Context, workers, _ int) (err error) {
			callers, err = r.callers(ctx, workers, r.statements.refresh)
			return err
		},
		do: func(ctx context.Context, worker int) error {
			s := r.population.Rotating.Next()
			if err := callers[worker].Call(ctx, r.population.ID(s), r.population.RefreshRow(s), s.Generation); err != nil {
				return err
			}
			s.Rotate("")
			return nil
		},
	}
}

func packagesRefresh(r *rig) operation {
	return operation{
		layer: report.Packages, name: report.Refresh, rig: r,
		prepare: func(ctx context.Context, workers, calls int) error {
			return errors.Join(r.openStore(ctx, workers), r.signAhead(calls))
		},
		do: func(ctx context.Context, _ int) error {
			s := r.population.Rotating.Next()
			token, err := r.population.RefreshToken(s)
			if err != nil {
				return err
			}
			refreshed, err := r.store.RefreshTokens(ctx, token, population.Client())
			if err != nil {
				return err
			}
			if refreshed.Outcome != sessionstore.Rotated {
				return fmt.Errorf("the outcome is %v, not a rotation", refreshed.Outcome)
			}
			s.Rotate(string(refreshed.Pair.RefreshToken))
			return nil
		},
	}
}

// settled is after what time the service rotates a pair again: three times its grace, and a margin.
const settled = 3*service.Grace + 200*time.Millisecond

// smallTable is up to how many sessions all of them may be changed between two measurements.
const smallTable = 100_000

func httpRefresh(r *rig) operation {
	var all []*request
	return operation{
		layer: report.HTTP, name: report.Refresh, rig: r, server: r.servicePid,
		prepare: func(ctx context.Context, workers, calls int) (err error) {
			if err := errors.Join(r.signAhead(calls), r.settle(ctx, calls)); err != nil {
				return err
			}
			all, err = r.public(ctx, workers)
			return err
		},
		do: func(_ context.Context, worker int) error {
			s := r.population.Rotating.Next()
			if time.Since(s.Rotated) < settled {
				return load.ErrUsedUp
			}
			token, err := r.population.RefreshToken(s)
			if err != nil {
				return err
			}
			body, err := all[worker].to(http.MethodPost, "/oauth2/token", "").
				with(formType, "grant_type=refresh_token&refresh_token=", token).send(http.StatusOK)
			if err != nil {
				return err
			}
			next, err := member(body, "refresh_token")
			if err != nil {
				return err
			}
			if next == token { // a pair that is still fresh is answered again
				return errors.New("the answer is the same pair, not a rotation")
			}
			s.Rotate(next)
			return nil
		},
	}
}

// signAhead signs the tokens of the sessions that come next.
func (r *rig) signAhead(calls int) error {
	for _, s := range r.population.Rotating.Ahead(calls) {
		if _, err := r.population.RefreshToken(s); err != nil {
			return err
		}
	}

	return nil
}

// settle sees to it that the sessions that come next may be rotated.
func (r *rig) settle(ctx context.Context, calls int) error {
	var latest time.Time
	for _, s := range r.population.Rotating.Ahead(calls) {
		if s.Rotated.After(latest) {
			latest = s.Rotated
		}
	}
	wait := settled - time.Since(latest)
	if latest.IsZero() || wait <= 0 {
		return nil
	}
	if r.population.Size > smallTable {
		time.Sleep(wait)
		return nil
	}
	conn, err := pgx.Connect(ctx, r.population.URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // whatever it did is committed

	return r.population.Settle(ctx, conn)
}
