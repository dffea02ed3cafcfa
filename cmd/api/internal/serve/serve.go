// Package serve is the service that `api serve` runs: two listeners on one database, and what runs alongside
// them.
package serve

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/logpipe"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/terminal"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/trail"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/console"
	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/metrics"
	"github.com/latchkey-sessions/latchkey/internal/replicas"
	"github.com/latchkey-sessions/latchkey/internal/secretfile"
	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// Config is the configuration of the service.
type Config struct {
	Settings *settings.Serve
	Version  string
	// Environment has OpenTelemetry's variables, and the files that secrets came from.
	Environment *settings.Environment
	// ReadAgain signals when to reread secrets in files; they are also checked periodically.
	ReadAgain      <-chan os.Signal
	Stdout, Stderr io.Writer
}

// heapGrowth is how much the heap may grow until it is collected, in percent of the live heap: a service has a small
// live heap and produces much garbage, so with Go's default of 100 it would be collected 20 times per second under
// load. GOGC, if set, wins.
const (
	heapGrowth   = 150
	goHeapGrowth = 100
)

// Run serves until ctx ends. It returns nil once all requests are answered and a private database is shut
// down.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Settings.Meant(); err != nil {
		return err
	}
	clients, err := cfg.Settings.Clients()
	if err != nil {
		return err
	}
	endpoints, eventsFiles, err := cfg.Settings.Events(clients)
	if err != nil {
		return err
	}
	log, closeLog := newLogger(cfg)
	defer closeLog()
	traces, err := startTraces(ctx, cfg, log)
	if err != nil {
		return err
	}
	log = traces.logger(log)
	if was := debug.SetGCPercent(heapGrowth); was != goHeapGrowth {
		debug.SetGCPercent(was)
	}
	public, internal, err := listen(ctx, string(cfg.Settings.PublicAddr), string(cfg.Settings.InternalAddr))
	if err != nil {
		return err
	}
	defer func() { _, _ = public.Close(), internal.Close() }() // if they were not used

	s := &service{
		Serve: cfg.Settings, version: cfg.Version, environment: cfg.Environment, readAgain: cfg.ReadAgain, log: log, traces: traces, clients: clients, endpoints: endpoints, eventsFiles: eventsFiles,
		public: public, internal: internal,
	}
	greetAt := cfg.Stdout
	if s.AuditLog == settings.AuditStdout {
		greetAt = cfg.Stderr // a stream of events must contain nothing else
	}
	err = trail.While(ctx, s.Audit, cfg.Stdout, log, traces.origin(httpapi.Origin), func(t trail.Trail) error {
		s.trail = t
		if !s.Private() {
			return s.onConfigured(ctx)
		}
		return s.onPrivate(ctx, greetAt)
	})
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // the signal came before it was ready
	}
	return err
}

// logTimeout limits how long the remaining log is written at the end.
const logTimeout = time.Second

// newLogger returns a logger that never makes a request wait, whatever reads the log. At a terminal each line appears
// at once, in order with what is printed.
func newLogger(cfg Config) (log *slog.Logger, closeLog func()) {
	if terminal.Is(cfg.Stderr) {
		return cfg.Settings.NewLogger(cfg.Stderr), func() {}
	}
	pipe := logpipe.New(cfg.Stderr, func(lines int) {
		log.Warn("log lines were lost: nobody read the log", "lines", lines)
	})
	log = cfg.Settings.NewLogger(pipe)
	return log, func() { pipe.Close(logTimeout) }
}

// service is a running service: two listeners on one database.
type service struct {
	*settings.Serve
	version          string
	environment      *settings.Environment
	readAgain        <-chan os.Signal
	log              *slog.Logger
	traces           traces
	trail            trail.Trail
	clients          settings.Clients
	endpoints        []events.Endpoint
	eventsFiles      []string // with the endpoints' secrets
	public, internal net.Listener
	// away are the shards, as copies of their list have them, where the first does not answer as the service starts.
	away []shards.Entry
}

// identity is what the service signs and seals with, and the keys of its callers.
type identity struct {
	ring *tokens.KeyRing // nil for keys in PostgreSQL
	// jwks are the keys that PostgreSQL takes over, if it has none.
	jwks        tokens.Secret
	serviceKeys settings.ServiceKeys
	// serviceKeysFile is the file of the service keys, if they are in one.
	serviceKeysFile string
	// sealer seals session data; nil for none.
	sealer sessionstore.Sealer
}

// identify reads the keys from where the settings say or, if they do not, from the generated files.
func (s *service) identify(madeSigningKeys, madeServiceKey string) (identity, error) {
	id := identity{serviceKeys: s.ServiceKeys}
	var err error
	signingFile := cmp.Or(string(s.SigningKeysFile), madeSigningKeys)
	if len(s.KeyEncryptionKey) == 0 {
		_, id.ring, err = settings.ReadSigningKeys(signingFile)
	} else if signingFile != "" {
		id.jwks, _, err = settings.ReadSigningKeys(signingFile)
	}
	if err == nil && len(id.serviceKeys) == 0 {
		id.serviceKeysFile = cmp.Or(string(s.ServiceKeysFile), madeServiceKey)
		id.serviceKeys, err = settings.ReadServiceKeys(id.serviceKeysFile)
	}
	if err == nil {
		id.sealer, err = s.Sealer()
	}
	if id.ring != nil {
		if hint := settings.OtherAlgorithm(id.ring, string(s.KeyAlgorithm), signingFile); hint != "" {
			s.log.Warn("a setting has no effect", "reason", hint)
		}
	}
	files := slices.Concat(s.environment.SecretFiles(), s.eventsFiles, []string{signingFile, id.serviceKeysFile, string(s.DataEncryptionKeysetFile)})
	secretfile.WarnOfReadable(s.log, files...)
	return id, err
}

// publicURL is the URL at which clients reach the public listener.
func (s *service) publicURL() string {
	return cmp.Or(string(s.Issuer), baseURL(s.public, string(s.PublicAddr)))
}

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

// clockOf returns how far the clock of this machine is ahead of the database's.
func clockOf(accept *verifier.Verifier) func() (offset, uncertainty time.Duration, known bool) {
	return func() (offset, uncertainty time.Duration, known bool) {
		clock, known := accept.Clock()
		return clock.Offset, clock.Uncertainty, known
	}
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
