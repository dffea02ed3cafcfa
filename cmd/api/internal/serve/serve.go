// Package serve is the service that `api serve` runs: two listeners on one database, and what runs alongside
// them.
package serve

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/console"
	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/metrics"
	"github.com/latchkey-sessions/latchkey/internal/replicas"
	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// serve answers requests and runs jobs until ctx ends. It calls ready when everything is set up; requests that
// arrived before are answered then.
func (s *service) serve(ctx context.Context, db database.Pools, id identity, ready func() error) error {
	cfg := s.Store(s.publicURL())
	cfg.Clients = s.clients.Store()
	cfg.Direct, cfg.Sealer, cfg.SealedOnly = db.Direct, id.sealer, s.DataSealedOnly == "true"
	entries := s.away
	if entries == nil {
		var err error
		if entries, err = shards.Entries(ctx, db.Tasks); errors.Is(err, shards.ErrWrong) {
			return err
		} else if err != nil {
			return unusable(err)
		}
	}
	further, err := s.openShards(ctx, entries)
	if err != nil {
		return err
	}
	defer further.close()
	keys, err := s.openKeys(ctx, db, further.copies(), &id, &cfg)
	if err != nil {
		return err
	}
	removable, err := sessionstore.New(db.Tasks, id.ring, cfg)
	if err != nil {
		return err
	}
	measured := metrics.New(s.version, s.log, removable.ClientIDs()...)
	runner, err := jobs.New(jobs.Config{
		Pool: db.Tasks, Logger: s.log, Sessions: removable,
		Cleanup: s.Cleanup(), CleanupInterval: time.Duration(s.CleanupInterval), Keys: keys.maintained(),
		PollOnly: db.Direct != nil, KeptLeaks: removable,
		LeakWebhook: s.leakWebhook(),
		Observer:    s.trail.Jobs(measured),
	})
	if err != nil {
		return err
	}
	cfg.Leaks, cfg.Observers = runner, s.trail.Sessions(s.traces.sessions(measured.Sessions())...)
	store, err := sessionstore.New(db.Requests, id.ring, cfg)
	if err != nil {
		return err
	}
	if err := signsEvents(store, s.endpoints); err != nil {
		return err
	}
	if err := further.fill(s, store, id.ring, cfg, measured); err != nil {
		return err
	}
	telling := events.Config{
		Pool: db.Tasks, Endpoints: s.endpoints, FirstClient: string(s.ClientID), Issuer: s.publicURL(), Sign: store.SignSecurityEvent, Logger: s.log, Observer: measured,
	}
	told, err := events.New(telling)
	if err != nil {
		return err
	}
	queue, err := further.tell(telling)
	if err != nil {
		return err
	}
	accept, err := store.Verifier(verifier.Config{Bound: time.Duration(s.RevocationBound), Logger: s.log}, further.stores()...)
	if err != nil {
		return err
	}
	var sessions interface {
		httpapi.Store
		console.Sessions
	} = store
	var router *shards.Router
	if len(further.all) > 0 {
		if router, err = further.router(ctx, s, store, db, id, keys); err != nil {
			return err
		}
		sessions = router
	}
	noted := s.replica(db, accept)
	page, operators, err := s.console(db, id, sessions, cfg, console.Service{
		Version: s.version, Refreshes: measured.Refreshes, Clock: clockOf(accept), RevocationsAge: accept.Age, RevocationBound: time.Duration(s.RevocationBound),
		Keys: keys.shown(id.ring), OtherKeys: len(s.CompasSigningKey) > 0, KeyRotation: keys.rotation(time.Duration(s.KeyRotationInterval)),
		LastCleanup: further.jobs(runner).LastCleanup, CleanupInterval: time.Duration(s.CleanupInterval), Jobs: further.jobs(runner), Events: queue,
		Replicas: func(ctx context.Context) ([]replicas.Replica, error) { return replicas.List(ctx, db.Requests) },
	})
	if err != nil {
		return err
	}
	server, err := httpapi.New(sessions, id.ring, httpapi.Config{
		Verifier: accept, Issuer: s.publicURL(), ClientID: string(s.ClientID), ServiceKeys: id.serviceKeys, CORSOrigins: s.clients.CORSOrigins(s.CORSOrigins),
		DPoPNonce: s.DPoPNonce == "true", DPoPWindow: time.Duration(s.DPoPWindow), RateLimit: int(s.RateLimit), SessionRateLimit: int(s.RateLimitSession), TrustedProxies: s.TrustedProxies, Logger: s.log,
		HideActedSessions: s.HideActedSessions == "true",
		IdleTimeout:       time.Duration(s.KeepAliveTimeout), ShutdownDelay: time.Duration(s.ShutdownDelay),
		DeadEvents: deadEvents{queue, s.trail}, SharedSignals: takesSETs(s.endpoints),
		Console: func(s *httpapi.Server) http.Handler { return page.Handler(s) },
		Metrics: measured.Handler(), Observers: s.traces.requests(measured.Requests()),
	})
	if err != nil {
		return err
	}
	beside := []func(context.Context) error{store.Run, operators.Run, page.Run, accept.Run, keys.run, s.traces.run, noted.Run}
	liveSessions := removable.EstimateLive
	if router == nil {
		marks, err := s.recognise(ctx, db, id, keys, store)
		if err != nil {
			return err
		}
		beside = append(beside, runner.Run, told.Run, marks)
	} else {
		beside, liveSessions = append(beside, further.run(router, runner, told)...), router.EstimateLive
		measured.Shards(shardStates(router, accept))
	}
	if err := ready(); err != nil {
		return err
	}
	keys.follow(server, append(further.stores(), store, operators)...)
	measured.Jobs(jobs.Kinds())
	measured.Pools(further.pools(map[string]*pgxpool.Pool{"requests": db.Requests, "tasks": db.Tasks}))
	if s.trail.Log != nil {
		measured.Audit(s.trail.Counts)
	}
	measured.Revocations(accept, time.Duration(s.RevocationBound))
	measured.Clock(clockOf(accept))
	measured.UnsealedReads(store.UnsealedReads)
	facts := metrics.Source{
		LiveSessions: liveSessions, SigningKeys: keys.described(id.ring),
		Cleanups:        further.cleanups(metrics.Cleanup{Shard: shards.FirstName, LastEnd: runner.LastCleanup, OldestEnded: removable.OldestEnded}),
		CleanupInterval: time.Duration(s.CleanupInterval),
	}
	if len(s.endpoints) > 0 {
		facts.Events, facts.Endpoints = queue.Status, told.Names()
		measured.Endpoints(told.Names())
	}
	measure := func(ctx context.Context) error { return measured.Follow(ctx, facts) }
	return runBeside(ctx, append(beside, measure, s.followServiceKeys(id, server)), func() error {
		return server.Run(ctx, s.public, s.internal)
	})
}

// runBeside stops background work after the requests: one that is being answered may still enqueue a job,
// or see a token in use.
func runBeside(ctx context.Context, beside []func(context.Context) error, serve func() error) error {
	besideCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var group errgroup.Group
	for _, run := range beside {
		group.Go(func() error { return run(besideCtx) })
	}
	group.Go(func() error {
		defer stop()
		return serve()
	})
	return group.Wait()
}
