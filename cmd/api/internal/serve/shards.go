package serve

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/metrics"
	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/migrations"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// furtherShard is a shard other than the first: everything that works on its database.
type furtherShard struct {
	shards.Shard

	db     database.Pools
	runner *jobs.Runner
	// removable is what cleanup and metrics use, unobserved.
	removable *sessionstore.Store
	told      *events.Runner
	// marks notes what its sessions are recognised by, once the shard is admitted.
	marks func(context.Context) error
}

// further are the shards other than the first; none if all sessions are in one database.
type further struct {
	all     []furtherShard
	entries []shards.Entry
	// firstMarks is [furtherShard.marks] of the first shard.
	firstMarks func(context.Context) error
}

// openShards returns the shards that the settings name. All that were added must be among them: the
// users with sessions in a missing shard would be silently signed out.
func (s *service) openShards(ctx context.Context, entries []shards.Entry) (*further, error) {
	f := &further{entries: entries}
	var names []string
	for _, u := range s.FurtherShards() {
		names = append(names, u.Name)
	}
	if lacks := shards.Lacking(entries, names); len(lacks) > 0 {
		return f, fmt.Errorf("LATCHKEY_SHARDS lacks %s: sessions there would be unavailable; add it, or remove it permanently with `api shards remove`", strings.Join(lacks, ", "))
	}
	for _, u := range s.FurtherShards() {
		e, known := shards.Find(entries, u.Name)
		if !known {
			f.close()
			return f, fmt.Errorf("the shard %s of LATCHKEY_SHARDS is not known yet: run `api migrate`", u.Name)
		}
		shard, err := s.openShard(ctx, u, e)
		if err != nil {
			f.close()
			return f, err
		}
		f.all = append(f.all, shard)
	}
	return f, nil
}

func (f *further) close() {
	for _, shard := range f.all {
		shard.db.Close()
	}
}

func (s *service) openShard(ctx context.Context, u settings.ShardURL, e shards.Entry) (furtherShard, error) {
	again := func(which func(settings.ShardURL) string) func() (string, error) {
		read := s.environment.Again("LATCHKEY_SHARDS")
		if read == nil {
			return nil
		}
		return func() (string, error) {
			text, err := read()
			if err != nil {
				return "", err
			}
			return settings.ShardURLAgain(text, u.Name, which)
		}
	}
	check := func(ctx context.Context, conn *pgx.Conn) error { return shards.Check(ctx, conn, e) }
	db, err := database.Open(ctx,
		database.Source{URL: u.URL, Pooled: u.Pooled(), Share: s.share(u.URL), Check: check, Again: again(func(u settings.ShardURL) string { return u.URL })},
		database.Source{URL: u.Direct, Check: check, Again: again(func(u settings.ShardURL) string { return u.Direct })},
		s.traces.database())
	if err != nil {
		return furtherShard{}, err
	}
	return furtherShard{Shard: shards.Shard{
		Number: e.Number, Name: u.Name, Weight: u.Weight, Pool: db.Tasks,
		Check: func(ctx context.Context) error { return checkSchema(ctx, db) },
	}, db: db}, nil
}

// checkSchema returns [shards.ErrWrong] for a database that is not migrated, or that the role has no rights in.
func checkSchema(ctx context.Context, db database.Pools) error {
	err := migrations.Check(ctx, db.Tasks)
	if err == nil {
		err = migrations.CheckRights(ctx, db.Tasks)
	}
	if errors.Is(err, migrations.ErrBehind) || errors.Is(err, migrations.ErrSchema) || errors.Is(err, migrations.ErrNoRight) {
		err = fmt.Errorf("%w: %w", shards.ErrWrong, err)
	}
	return err
}

// copies are where the signing keys are copied to.
func (f *further) copies() []keystore.Copy {
	copies := make([]keystore.Copy, len(f.all))
	for i, shard := range f.all {
		copies[i] = keystore.Copy{Name: shard.Name, Pool: shard.db.Tasks}
	}
	return copies
}

// share is how many shards share the server of a URL.
func (s *service) share(url string) int {
	all := []string{string(s.DatabaseURL)}
	for _, u := range s.FurtherShards() {
		all = append(all, u.URL)
	}
	return database.SameServer(url, all)
}

// fill makes everything that works on the shards. Their stores are configured like the first one's,
// which also provides their clock.
func (f *further) fill(s *service, first *sessionstore.Store, ring *tokens.KeyRing, cfg sessionstore.Config, measured *metrics.Metrics) error {
	cfg.Tokens.Now = first.Now
	for i := range f.all {
		shard := &f.all[i]
		cfg.Shard, cfg.Direct, cfg.Leaks = shard.Number, shard.db.Direct, nil
		unobserved := cfg
		unobserved.Observers = nil
		var err error
		if shard.removable, err = sessionstore.New(shard.db.Tasks, ring, unobserved); err != nil {
			return err
		}
		shard.runner, err = jobs.New(jobs.Config{
			Pool: shard.db.Tasks, Logger: s.log.With("shard", shard.Name), Sessions: shard.removable,
			Cleanup: s.Cleanup(), CleanupInterval: time.Duration(s.CleanupInterval), KeptLeaks: shard.removable, PollOnly: shard.db.Direct != nil,
			LeakWebhook: s.leakWebhook(), Observer: s.trail.Jobs(measured),
		})
		if err != nil {
			return err
		}
		cfg.Leaks = shard.runner
		if shard.Store, err = sessionstore.New(shard.db.Requests, ring, cfg); err != nil {
			return err
		}
	}
	return nil
}

// stores are those of the shards.
func (f *further) stores() []*sessionstore.Store {
	stores := make([]*sessionstore.Store, len(f.all))
	for i, shard := range f.all {
		stores[i] = shard.Store
	}
	return stores
}

// tell sends the events of each shard as those of the first one are sent, and returns the queue of all.
func (f *further) tell(cfg events.Config) (events.Queue, error) {
	queue, log := events.NewQueue(cfg.Pool), cfg.Logger
	for i := range f.all {
		shard := &f.all[i]
		cfg.Pool, cfg.Logger = shard.db.Tasks, log.With("shard", shard.Name)
		var err error
		if shard.told, err = events.New(cfg); err != nil {
			return queue, err
		}
		queue = queue.With(shard.Number, shard.db.Tasks)
	}
	return queue, nil
}

// router spreads sessions over the first shard and the further ones. It refuses to start where live sessions of a shard
// would not be recognised; a shard that does not answer yet is checked when it does, and gets no request until then.
func (f *further) router(ctx context.Context, s *service, first *sessionstore.Store, db database.Pools, id identity, keys storedKeys) (*shards.Router, error) {
	all := []shards.Shard{{
		Name: shards.FirstName, Weight: s.FirstWeight(), Store: first, Pool: db.Tasks,
		Check: func(ctx context.Context) error {
			if err := checkSchema(ctx, db); err != nil {
				return err
			}
			return shards.CheckFirst(ctx, db.Tasks, f.entries)
		},
		Admit: func(ctx context.Context) (err error) {
			f.firstMarks, err = s.admit(ctx, db, id, keys, first)
			return err
		},
	}}
	for i := range f.all {
		shard := &f.all[i]
		shard.Admit = func(ctx context.Context) (err error) {
			if err := shards.CopyEntries(ctx, shard.db.Tasks, f.entries); err != nil {
				return err
			}
			shard.marks, err = s.admit(ctx, shard.db, id, keys, shard.Store)
			return err
		}
		all = append(all, shard.Shard)
	}
	router, err := shards.New(shards.Config{
		Shards: all, Removed: shards.Removed(f.entries), Logger: s.log,
		SessionsPerSubject: int(s.SessionsPerSubject), SessionsPerSubjectAction: sessionstore.LimitAction(s.SessionsPerSubjectAction),
	})
	if err != nil {
		return nil, err
	}
	return router, router.Check(ctx)
}

// admit is [service.recognise] for a shard.
func (s *service) admit(ctx context.Context, db database.Pools, id identity, keys storedKeys, store *sessionstore.Store) (func(context.Context) error, error) {
	var untold error
	marks, err := s.recogniseOr(ctx, db, id, keys, store, func(err error) error {
		untold = err
		return err
	})
	if err != nil && untold == nil {
		err = fmt.Errorf("%w: %w", shards.ErrRefused, err)
	}
	return marks, err
}

// run is what works on the shards alongside requests, on each once its database is known to be it.
func (f *further) run(router *shards.Router, first *jobs.Runner, told *events.Runner) []func(context.Context) error {
	when := func(number int, run func(context.Context) error) func(context.Context) error {
		return func(ctx context.Context) error {
			if !router.AwaitChecked(ctx, number) {
				return nil
			}
			return run(ctx)
		}
	}
	run := []func(context.Context) error{router.Run, when(0, first.Run), when(0, told.Run), when(0, func(ctx context.Context) error { return f.firstMarks(ctx) })}
	for i := range f.all {
		shard := &f.all[i]
		run = append(run, shard.Store.Run, when(shard.Number, shard.runner.Run), when(shard.Number, shard.told.Run), when(shard.Number, func(ctx context.Context) error { return shard.marks(ctx) }))
	}
	return run
}

// cleanups are what cleanup does in the database of the first shard and in the others.
func (f *further) cleanups(first metrics.Cleanup) []metrics.Cleanup {
	all := []metrics.Cleanup{first}
	for _, shard := range f.all {
		all = append(all, metrics.Cleanup{Shard: shard.Name, LastEnd: shard.runner.LastCleanup, OldestEnded: shard.removable.OldestEnded})
	}
	return all
}

// pools adds the pools of the shards.
func (f *further) pools(first map[string]*pgxpool.Pool) map[string]*pgxpool.Pool {
	for _, shard := range f.all {
		first["requests/"+shard.Name], first["tasks/"+shard.Name] = shard.db.Requests, shard.db.Tasks
	}
	return first
}

// shardStates returns the states of the shards, for metrics.
func shardStates(router *shards.Router, accept *verifier.Verifier) func() []metrics.ShardState {
	return func() []metrics.ShardState {
		all := router.Status()
		states := make([]metrics.ShardState, len(all))
		for i, shard := range all {
			age, _ := accept.ShardAge(shard.Number)
			states[i] = metrics.ShardState{Name: shard.Name, IsUp: shard.IsUp, Weight: shard.Weight, RevocationsAge: age}
		}
		return states
	}
}
