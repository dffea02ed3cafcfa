package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// throughPackages are the operations of the Go API.
var throughPackages = map[string]preparer{
	report.Create: func(ctx context.Context, n need) (call, error) {
		return func(ctx context.Context, _ int) error {
			_, _, err := n.store.Create(ctx, newSession())
			return err
		}, n.openStore(ctx, n.workers)
	},
	report.Get: func(ctx context.Context, n need) (call, error) {
		if err := n.openStore(ctx, n.workers); err != nil {
			return nil, err
		}
		return n.presenting(ctx, report.Packages, math.MaxInt, func(ctx context.Context, token string) error {
			_, _, err := n.store.Get(ctx, token)
			return err
		})
	},
	report.Refresh: func(ctx context.Context, n need) (call, error) {
		return func(ctx context.Context, _ int) error {
			s := n.Rotating.Next()
			token, err := n.RefreshToken(s)
			if err != nil {
				return err
			}
			refreshed, err := n.store.RefreshTokens(ctx, token, population.Client())
			if err != nil {
				return err
			}
			if refreshed.Outcome != sessionstore.Rotated {
				return fmt.Errorf("the outcome is %v, not a rotation", refreshed.Outcome)
			}
			s.Rotate(string(refreshed.Pair.RefreshToken))
			return nil
		}, errors.Join(n.openStore(ctx, n.workers), n.signAhead(n.calls))
	},
	report.Update: func(ctx context.Context, n need) (call, error) {
		return func(ctx context.Context, _ int) error {
			s := n.Readers.Next()
			now, next, data := n.Checksums(s)
			got, err := n.store.Update(ctx, s.ID, now, []byte(data))
			if err != nil {
				return err
			}
			if got != next {
				return fmt.Errorf("the checksum is %s, not %s", got, next)
			}
			s.Other = !s.Other
			return nil
		}, n.openStore(ctx, n.workers)
	},
	report.Revoke: func(ctx context.Context, n need) (call, error) {
		ending, err := n.ending(ctx, n.calls)
		return func(ctx context.Context, _ int) error {
			id, err := ending()
			if err != nil {
				return err
			}
			return n.store.Invalidate(ctx, id)
		}, errors.Join(err, n.openStore(ctx, n.workers))
	},
}

// newSession is what each created session begins with.
func newSession() sessionstore.CreateParams {
	return sessionstore.CreateParams{Subject: "user-of-the-benchmark", Data: []byte(population.Data), Client: population.Client()}
}
