package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/bench/internal/edge"
	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// atTheEdge measures what accepting a token without a database read costs.
func (b *bench) atTheEdge(ctx context.Context) error {
	r := b.mainRig()

	return b.inTurn(ctx, report.EdgeGroup, b.cfg.mainWorkers(), b.edgeRounds(), b.cfg.duration, []operation{
		atEdge(r, report.Limit, report.Unchecked, edge.Open, report.Seen),
		atEdge(r, report.Edge, report.Accept, edge.Verified, report.Seen),
		atEdge(r, report.Limit, report.BareCheck, edge.JWT, report.NotSeen),
		atEdge(r, report.Edge, report.Accept, edge.Verified, report.NotSeen),
	})
}

// besideRevocations measures whether creating and refreshing slow down when revocations are followed.
func (b *bench) besideRevocations(ctx context.Context) error {
	var all []operation
	for _, variant := range []string{report.NotFollowed, report.Followed, report.Busy, report.FollowedBusily} {
		all = append(all, followed(of(b.churning, report.Packages, report.Refresh, ""), variant), followed(of(b.churning, report.Packages, report.Create, ""), variant))
	}

	return b.inTurn(ctx, report.FollowGroup, b.cfg.mainWorkers(), b.edgeRounds(), b.cfg.duration, all)
}

const (
	revocationsTimed = 500
	// refreshingBeside is how many clients refresh without a pause meanwhile, in the second half.
	refreshingBeside = 2
)

// timeRevocations measures how long it takes from a request that ends a session until a resource server in another
// process refuses its token: at first alone, then while clients refresh without a pause.
func (b *bench) timeRevocations(ctx context.Context) (err error) {
	r := b.mainRig()
	defer func() { err = errors.Join(err, r.close(ctx)) }()

	if err := r.openEdge(ctx); err != nil {
		return err
	}
	n := revocationsTimed / int(10/b.times(10, 1)) //nolint:mnd // a tenth in a quick run
	if b.results.Revocations.Alone, err = r.revocationTimes(ctx, n); err != nil {
		return err
	}
	busy, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	refresh, err := of(r, report.Packages, report.Refresh, "").makeReady(ctx, refreshingBeside, time.Second, 0)
	if err != nil {
		cancel()
		return err
	}
	go func() {
		_, err := load.Closed(busy, load.Window{Workers: refreshingBeside, Duration: time.Hour}, refresh.work(ctx))
		ended <- err
	}()
	b.results.Revocations.Busy, err = r.revocationTimes(ctx, n)
	cancel()
	if beside := <-ended; !errors.Is(beside, context.Canceled) {
		err = errors.Join(err, beside)
	}
	b.progress.say(fmt.Sprintf("from revocation to refusal, p99: %.1f ms, beside refreshes %.1f ms",
		b.results.Revocations.Alone.P99, b.results.Revocations.Busy.P99))

	return err
}

func (r *rig) revocationTimes(ctx context.Context, n int) (report.Times, error) {
	client := load.NewClient(r.edge.Address)
	defer client.Close()
	times := load.NewTimes()
	for range n {
		took, err := r.revocationTime(ctx, client)
		if err != nil {
			return report.Times{}, err
		}
		times.Add(took)
	}

	return report.Times{Count: n, P50: times.Milliseconds(50), P99: times.Milliseconds(99), Max: times.Milliseconds(100)}, nil
}

// revocationTime is how long after the request that ended its session a token was refused.
func (r *rig) revocationTime(ctx context.Context, client *load.Client) (time.Duration, error) {
	body, err := r.internal(http.StatusCreated, load.Request{Method: http.MethodPost, Path: "/v1/sessions", Type: load.JSON, Body: `{"data":{}}`})
	if err != nil {
		return 0, err
	}
	token, err := load.Member(body, "access_token")
	if err != nil {
		return 0, err
	}
	id, err := load.Member(body, "id")
	if err != nil {
		return 0, err
	}
	bearing := load.Request{Method: http.MethodGet, Path: edge.Verified, Bearer: token}
	if _, err := client.Send(http.StatusOK, bearing); err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := r.internal(http.StatusNoContent, load.Request{Method: http.MethodDelete, Path: "/v1/sessions/" + id}); err != nil {
		return 0, err
	}
	for ctx.Err() == nil {
		status, body, err := client.Do(bearing)
		switch {
		case err != nil:
			return 0, err
		case status == http.StatusUnauthorized:
			return time.Since(began), nil
		case status != http.StatusOK:
			return 0, fmt.Errorf("the edge answers %d: %s", status, body)
		}
		time.Sleep(100 * time.Microsecond) // a request every now and then, so that the rest can work
	}

	return 0, ctx.Err()
}

const million = 1_000_000

// weighMillion measures the memory of a set of a million revoked sessions.
func (b *bench) weighMillion(ctx context.Context) error {
	checker, err := tokens.NewVerifier(b.identity.Ring, b.identity.Store.Tokens)
	if err != nil {
		return err
	}
	before := heap()
	source := loading{loaded: make(chan struct{})}
	v, err := verifier.New(checker, source, verifier.Config{
		Strict: func(context.Context, string, tokens.Claims) error { return verifier.ErrRevoked },
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	<-source.loaded
	b.results.Revocations.MillionBytes = heap() - before
	if v.Len() != million {
		err = fmt.Errorf("the set has %d sessions", v.Len())
	}
	cancel()

	return errors.Join(err, <-ended)
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what had a finalizer
	var m runtime.MemStats
	runtime.ReadMemStats(&m)

	return int64(m.HeapAlloc) //nolint:gosec // less than there is memory
}

// loading is a source that knows of a million revoked sessions at once.
type loading struct{ loaded chan struct{} }

func (l loading) Follow(ctx context.Context, set *verifier.Set) error {
	batch := verifier.Batch{Reset: true, Sessions: make([]verifier.Revocation, million)}
	until := time.Now().Add(time.Hour).Unix()
	for i := range batch.Sessions {
		batch.Sessions[i] = verifier.Revocation{SessionID: uuid.Must(uuid.NewV7()), Until: until}
	}
	batch.Proof, batch.Cursor = set.Now(), "all"
	set.Apply(batch)
	batch.Sessions = nil
	close(l.loaded)
	<-ctx.Done()

	return nil
}
