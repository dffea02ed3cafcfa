package main

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/servers"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// edgeTokens are the tokens that come again and again: fewer than a verifier remembers.
const edgeTokens = 10_000

// atTheEdge measures what accepting a token without a database read costs.
func (b *bench) atTheEdge(ctx context.Context) {
	r := b.main
	// accepting presents access tokens to one of the resource server's handlers.
	accepting := func(layer, name, path, variant string) operation {
		return operation{
			layer: layer, name: name, variant: variant, rig: r, server: func() int { return r.edge.Pid() },
			prepare: func(ctx context.Context, n need) call {
				r.openEdge(ctx)
				return n.presenting(ctx, path, edgeTokens, func(_ context.Context, token string) {
					must.Get(r.edge.Send(http.StatusOK, load.Request{Method: http.MethodGet, Path: path, Authorization: "Bearer " + token}))
				})
			},
		}
	}

	b.inTurn(ctx, report.EdgeGroup, b.cfg.mainWorkers(), b.edgeRounds(), b.cfg.duration, []operation{
		accepting(report.Limit, "the same handler without a check", servers.Open, report.Seen),
		accepting(report.Edge, report.Accept, servers.Verified, report.Seen),
		accepting(report.Limit, "the same handler with golang-jwt's signature check alone", servers.JWT, report.NotSeen),
		accepting(report.Edge, report.Accept, servers.Verified, report.NotSeen),
	})
}

// besideRevocations measures whether creating and refreshing slow down when revocations are followed.
func (b *bench) besideRevocations(ctx context.Context) {
	var all []operation
	for _, variant := range []struct {
		name   string
		beside []beside
	}{
		{"no revocation, and nobody who follows them", nil},
		{"no revocation, a replica follows them", []beside{(*rig).follow}},
		{"100 revocations a second, and nobody who follows them", []beside{(*rig).revokeOften}},
		{"100 revocations a second, a replica follows them", []beside{(*rig).revokeOften, (*rig).follow}},
	} {
		for _, name := range []string{report.Refresh, report.Create} {
			o := of(b.churning, report.Packages, name, variant.name)
			o.beside = variant.beside
			all = append(all, o)
		}
	}

	b.inTurn(ctx, report.FollowGroup, b.cfg.mainWorkers(), b.edgeRounds(), b.cfg.duration, all)
}

// revokeOften has a hundred sessions a second revoked, one after the other.
func (r *rig) revokeOften(ctx context.Context, workers int) (stop func()) {
	const pause = 10 * time.Millisecond

	revoke := throughPackages(ctx, need{rig: r, workers: workers, calls: int(time.Minute / pause)}, report.Revoke)
	return must.Beside(ctx, func(until context.Context) {
		for ticker := time.NewTicker(pause); until.Err() == nil; <-ticker.C {
			revoke(ctx, 0)
		}
	})
}

// follow has a replica follow revocations.
func (r *rig) follow(ctx context.Context, _ int) (stop func()) {
	follower := must.Get(r.store.Verifier(verifier.Config{Logger: slog.New(slog.DiscardHandler)}))
	stop = must.Beside(ctx, func(ctx context.Context) { must.Do(follower.Run(ctx)) })
	for follower.Age() > time.Second {
		time.Sleep(time.Millisecond)
	}
	return stop
}

// timeRevocations measures how long it takes from a request that ends a session until a resource server in another
// process refuses its token: at first alone, then while clients refresh without a pause.
func (b *bench) timeRevocations(ctx context.Context) {
	// refreshingBeside is how many clients do so.
	const refreshingBeside = 2

	r := b.main
	defer r.close()

	r.openEdge(ctx)
	b.results.Revocations.Alone = b.revocationTimes(ctx, r)
	refresh := of(r, report.Packages, report.Refresh, "").makeReady(ctx, refreshingBeside, time.Second, 0)
	whole := func(_ context.Context, worker int) { refresh(ctx, worker) } // one that is cut off would leave a token that is not the newest
	defer must.Beside(ctx, func(busy context.Context) {
		must.Get(load.Closed(busy, load.Window{Workers: refreshingBeside, Duration: time.Hour}, whole))
	})()
	b.results.Revocations.Busy = b.revocationTimes(ctx, r)
	b.say("from revocation to refusal, p99: %.1f ms, during refreshes %.1f ms", b.results.Revocations.Alone.P99, b.results.Revocations.Busy.P99)
}

func (b *bench) revocationTimes(ctx context.Context, r *rig) (row report.Row) {
	times := load.NewTimes()
	for range either(b.cfg, 500, 50) {
		times.Add(r.revocationTime(ctx))
	}
	row.Key = operation{layer: report.Edge, name: "from revocation to refusal", rig: r}.key("refusal", 1)
	setTimes(&row, times)
	row.Max = times.Milliseconds(100)
	return row
}

// revocationTime is how long after the request that ended its session a token was refused.
func (r *rig) revocationTime(ctx context.Context) time.Duration {
	body := r.create(`{"data":{}}`)
	token := must.Get(load.Member(body, "access_token"))
	id := must.Get(load.Member(body, "id"))
	bearing := load.Request{Method: http.MethodGet, Path: servers.Verified, Authorization: "Bearer " + token}
	must.Get(r.edge.Send(http.StatusOK, bearing))
	began := time.Now()
	r.revoke(id)
	for {
		must.Do(ctx.Err())
		status, body, err := r.edge.Do(bearing)
		must.Do(err)
		if status == http.StatusUnauthorized {
			return time.Since(began)
		}
		must.Hold(status == http.StatusOK, "the edge answers %d: %s", status, body)
		time.Sleep(100 * time.Microsecond) // a request every now and then, so that the rest can work
	}
}

// weighMillion measures the memory of a set of a million revoked sessions.
func (b *bench) weighMillion(ctx context.Context) {
	checker := must.Get(tokens.NewVerifier(b.identity.Ring, b.identity.Store.Tokens))
	before := heap()
	known := make(million)
	v := must.Get(verifier.New(checker, known, verifier.Config{Strict: func(context.Context, string, tokens.Claims) error { return verifier.ErrRevoked }}))
	defer must.Beside(ctx, func(ctx context.Context) { must.Do(v.Run(ctx)) })()
	<-known
	b.results.Revocations.MillionBytes = heap() - before
	must.Hold(v.Len() == 1_000_000, "the set has %d sessions", v.Len())
}

// million is a source of as many revocations. It is closed when they are known.
type million chan struct{}

// Follow implements [verifier.Source].
func (m million) Follow(ctx context.Context, set *verifier.Set) error {
	batch := verifier.Batch{Reset: true, Proof: set.Now(), Cursor: "all"}
	for range 1_000_000 {
		batch.Sessions = append(batch.Sessions, verifier.Revocation{SessionID: uuid.Must(uuid.NewV7()), Until: time.Now().Add(time.Hour).Unix()})
	}
	set.Apply(batch)
	batch.Sessions = nil
	close(m)
	<-ctx.Done()
	return nil
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what had a finalizer
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // less than there is memory
}
