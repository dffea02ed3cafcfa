package main

import (
	"context"
	"fmt"
	"math"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// throughPackages are the operations of the Go API.
var throughPackages = map[string]preparer{
	report.Create: func(ctx context.Context, n need) call {
		n.openStore(ctx, n.workers)
		return func(ctx context.Context, _ int) {
			_, _, err := n.store.Create(ctx, sessionstore.CreateParams{
				Subject: "user-of-the-benchmark", Data: []byte(population.Data), Client: population.Client(),
			})
			must.Do(err)
		}
	},
	report.Get: func(ctx context.Context, n need) call {
		n.openStore(ctx, n.workers)
		return n.presenting(ctx, report.Packages, math.MaxInt, func(ctx context.Context, token string) {
			_, _, err := n.store.Get(ctx, token)
			must.Do(err)
		})
	},
	report.Refresh: func(ctx context.Context, n need) call {
		n.openStore(ctx, n.workers)
		n.signAhead(n.calls)
		return func(ctx context.Context, _ int) {
			s := n.Rotating.Next()
			refreshed := must.Get(n.store.RefreshTokens(ctx, n.RefreshToken(s), population.Client()))
			if refreshed.Outcome != sessionstore.Rotated {
				must.Do(fmt.Errorf("the outcome is %v, not a rotation", refreshed.Outcome))
			}
			s.Rotate(string(refreshed.Pair.RefreshToken))
		}
	},
	report.Update: func(ctx context.Context, n need) call {
		n.openStore(ctx, n.workers)
		return func(ctx context.Context, _ int) {
			s := n.Readers.Next()
			now, next, data := n.Checksums(s)
			if got := must.Get(n.store.Update(ctx, s.ID, now, []byte(data))); got != next {
				must.Do(fmt.Errorf("the checksum is %s, not %s", got, next))
			}
			s.Other = !s.Other
		}
	},
	report.Revoke: func(ctx context.Context, n need) call {
		n.openStore(ctx, n.workers)
		ending := n.ending(ctx, n.calls)
		return func(ctx context.Context, _ int) { must.Do(n.store.Invalidate(ctx, ending())) }
	},
}
