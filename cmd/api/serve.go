package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/metrics"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

type serveCmd struct {
	settings
}

// heapGrowth is by how much the heap may grow until it is collected, in percent of what is alive: a service has little
// alive and makes much that is not, so that Go's 100 would collect 20 times a second under load. GOGC, if set, wins.
const (
	heapGrowth   = 150
	goHeapGrowth = 100
)

// Run serves until a signal comes. It ends well once all requests are answered and, where it is private, the
// database is shut down.
func (c *serveCmd) Run(a *app) error {
	log := c.newLogger(a.stderr)
	traces, err := startTraces(a, log)
	if err != nil {
		return err
	}
	log = traces.logger(log)
	if was := debug.SetGCPercent(heapGrowth); was != goHeapGrowth {
		debug.SetGCPercent(was)
	}
	public, internal, err := listen(a.ctx, c.PublicAddr, c.InternalAddr)
	if err != nil {
		return err
	}
	defer func() { _, _ = public.Close(), internal.Close() }() // where they did not come into use

	s := &service{settings: &c.settings, log: log, traces: traces, public: public, internal: internal}
	greetAt := a.stdout
	if c.AuditLog == auditStdout {
		greetAt = a.stderr // a stream of events has nothing else in it
	}
	err = c.while(a.ctx, a.stdout, log, traces.origin(httpapi.Origin), func(t trail) error {
		s.trail = t
		if c.DatabaseURL != "" {
			return s.onConfigured(a.ctx)
		}
		return s.onPrivate(a.ctx, greetAt)
	})
	if a.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // the signal came before it was ready
	}
	return err
}

// service is what runs: two listeners on one database.
type service struct {
	*settings
	log              *slog.Logger
	traces           traces
	trail            trail
	public, internal net.Listener
}

// identity is what the service signs and seals with, and who may call it.
type identity struct {
	ring *tokens.KeyRing // nil for keys in PostgreSQL
	// jwks are the keys that PostgreSQL takes over, if it has none.
	jwks        tokens.Secret
	serviceKeys serviceKeys
	// sealer seals session data; nil for none.
	sealer sessionstore.Sealer
}

// identify reads the keys from where the settings say or, where they do not say it, from the made files.
func (s *service) identify(madeSigningKeys, madeServiceKey string) (identity, error) {
	id := identity{serviceKeys: s.ServiceKeys}
	var err error
	if file := cmp.Or(string(s.SigningKeysFile), madeSigningKeys); len(s.KeyEncryptionKey) == 0 {
		id.ring, err = readKeyRing(file)
	} else if file != "" {
		id.jwks, err = readKeySet(file)
	}
	if err == nil && len(id.serviceKeys) == 0 {
		id.serviceKeys, err = readServiceKeys(cmp.Or(string(s.ServiceKeysFile), madeServiceKey))
	}
	if err == nil {
		id.sealer, err = s.sealer()
	}
	return id, err
}

// publicURL is where clients find the public listener.
func (s *service) publicURL() string {
	return cmp.Or(string(s.Issuer), baseURL(s.public, s.PublicAddr))
}

// serve answers requests and runs jobs until ctx ends. It calls ready when everything is set up; requests that came
// before that are answered then.
func (s *service) serve(ctx context.Context, db pools, id identity, ready func() error) error {
	measured := metrics.New(currentVersion(), s.log)
	cfg := s.store(s.publicURL())
	cfg.Direct, cfg.Sealer = db.direct, id.sealer
	keys, err := s.openKeys(ctx, db, &id, &cfg)
	if err != nil {
		return err
	}
	removable, err := sessionstore.New(db.tasks, id.ring, cfg)
	if err != nil {
		return err
	}
	runner, err := jobs.New(jobs.Config{
		Pool: db.tasks, Logger: s.log, Sessions: removable,
		Cleanup: s.cleanup(), CleanupInterval: time.Duration(s.CleanupInterval), Keys: keys.maintained(),
		PollOnly:    db.direct != nil, KeptLeaks: removable,
		LeakWebhook: jobs.Webhook{URL: string(s.LeakWebhookURL), Secret: tokens.Secret(s.LeakWebhookSecret)},
		Observer:    s.trail.jobs(measured),
	})
	if err != nil {
		return err
	}
	cfg.Leaks, cfg.Observers = runner, s.trail.sessions(s.traces.sessions(measured.Sessions())...)
	store, err := sessionstore.New(db.requests, id.ring, cfg)
	if err != nil {
		return err
	}
	accept, err := store.Verifier(verifier.Config{Bound: time.Duration(s.RevocationBound), Logger: s.log})
	if err != nil {
		return err
	}
	server, err := httpapi.New(store, id.ring, httpapi.Config{
		Verifier: accept, Issuer: s.publicURL(), ClientID: string(s.ClientID), ServiceKeys: id.serviceKeys, CORSOrigins: s.CORSOrigins,
		DPoPNonce: s.DPoPNonce.on(), RateLimit: int(s.RateLimit), SessionRateLimit: int(s.RateLimitSession), TrustedProxies: s.TrustedProxies, Logger: s.log,
		Metrics: measured.Handler(), Observers: s.traces.requests(measured.Requests()),
	})
	if err != nil {
		return err
	}
	s.checkSealer(ctx, store, id.sealer)
	if err := ready(); err != nil {
		return err
	}
	keys.follow(store, server)
	measured.Jobs(jobs.Kinds())
	measured.Pools(map[string]*pgxpool.Pool{"requests": db.requests, "tasks": db.tasks})
	if s.trail.Log != nil {
		measured.Audit(s.trail.Counts)
	}
	measured.Revocations(accept, time.Duration(s.RevocationBound))
	facts := metrics.Source{
		LiveSessions: removable.EstimateLive, SigningKeys: keys.described(id.ring),
		LastCleanup: runner.LastCleanup, OldestEnded: removable.OldestEnded, CleanupInterval: time.Duration(s.CleanupInterval),
	}
	measure := func(ctx context.Context) error { return measured.Follow(ctx, facts) }
	return runBeside(ctx, []func(context.Context) error{runner.Run, store.Run, accept.Run, keys.run, measure, s.traces.run}, func() error {
		return server.Run(ctx, s.public, s.internal)
	})
}

// runBeside stops what runs beside the requests after them: one that is being answered may still enqueue a job, or
// see a token in use.
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
