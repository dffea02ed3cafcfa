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
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/metrics"
	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/migrations"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// furtherShard is a shard but the first: all that works on its database.
type furtherShard struct {
	shards.Shard

	db     database.Pools
	runner *jobs.Runner
}

// further are the shards but the first; none where all sessions are in one database.
type further struct {
	all     []furtherShard
	removed []int
}

// openShards returns the shards that the settings name. All that were added must be among them: those
// whom a shard's sessions are of would be signed out without a word.
func (s *service) openShards(ctx context.Context, first database.Pools) (f further, err error) {
	entries, err := shards.Entries(ctx, first.Tasks)
	if err != nil {
		return f, err
	}
	f.removed = shards.Removed(entries)
	var names []string
	for _, u := range s.FurtherShards() {
		names = append(names, u.Name)
	}
	if lacks := shards.Lacking(entries, names); len(lacks) > 0 {
		return f, fmt.Errorf("LATCHKEY_SHARDS lacks %s: sessions there would be unavailable; add it, or remove it for good with `api shards remove`", strings.Join(lacks, ", "))
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

func (f further) close() {
	for _, shard := range f.all {
		shard.db.Close()
	}
}

func (s *service) openShard(ctx context.Context, u settings.ShardURL, e shards.Entry) (furtherShard, error) {
	source := database.Source{URL: u.URL, Share: s.share(u.URL), Check: func(ctx context.Context, conn *pgx.Conn) error { return shards.Check(ctx, conn, e) }}
	if read := s.environment.Again("LATCHKEY_SHARDS"); read != nil {
		source.Again = func() (string, error) {
			text, err := read()
			if err != nil {
				return "", err
			}
			return settings.ShardURLAgain(text, u.Name)
		}
	}
	db, err := database.Open(ctx, source, database.Source{}, s.traces.database())
	if err != nil {
		return furtherShard{}, err
	}
	return furtherShard{Shard: shards.Shard{
		Number: e.Number, Name: u.Name, Weight: u.Weight, Pool: db.Tasks,
		Check: func(ctx context.Context) error {
			err := migrations.Check(ctx, db.Tasks)
			if err == nil {
				err = migrations.CheckRights(ctx, db.Tasks)
			}
			if errors.Is(err, migrations.ErrBehind) || errors.Is(err, migrations.ErrSchema) || errors.Is(err, migrations.ErrNoRight) {
				err = fmt.Errorf("%w: %w", shards.ErrWrong, err)
			}
			return err
		},
	}, db: db}, nil
}

// share is how many shards share the server of a URL.
func (s *service) share(url string) int {
	all := []string{string(s.DatabaseURL)}
	for _, u := range s.FurtherShards() {
		all = append(all, u.URL)
	}
	return database.SameServer(url, all)
}

// fill makes what works on the shards. Their stores are as the first one's is configured, and their
// machine's clock is told by it.
func (f *further) fill(s *service, first *sessionstore.Store, ring *tokens.KeyRing, cfg sessionstore.Config, measured *metrics.Metrics) error {
	cfg.Tokens.Now = first.Now
	for i := range f.all {
		shard := &f.all[i]
		cfg.Shard, cfg.Leaks = shard.Number, nil
		unobserved := cfg
		unobserved.Observers = nil
		removable, err := sessionstore.New(shard.db.Tasks, ring, unobserved)
		if err != nil {
			return err
		}
		shard.runner, err = jobs.New(jobs.Config{
			Pool: shard.db.Tasks, Logger: s.log.With("shard", shard.Name), Sessions: removable,
			Cleanup: s.Cleanup(), CleanupInterval: time.Duration(s.CleanupInterval), KeptLeaks: removable,
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
func (f further) stores() []*sessionstore.Store {
	stores := make([]*sessionstore.Store, len(f.all))
	for i, shard := range f.all {
		stores[i] = shard.Store
	}
	return stores
}

// router spreads sessions over the first shard and the further ones.
func (f further) router(ctx context.Context, s *service, first *sessionstore.Store, db database.Pools) (*shards.Router, error) {
	all := []shards.Shard{{Name: shards.FirstName, Weight: s.FirstWeight(), Store: first, Pool: db.Tasks, Check: func(context.Context) error { return nil }}}
	for _, shard := range f.all {
		all = append(all, shard.Shard)
	}
	router, err := shards.New(shards.Config{
		Shards: all, Removed: f.removed, Logger: s.log,
		SessionsPerSubject: int(s.SessionsPerSubject), SessionsPerSubjectAction: sessionstore.LimitAction(s.SessionsPerSubjectAction),
	})
	if err != nil {
		return nil, err
	}
	return router, router.Check(ctx)
}

// recognise is [service.recognise] for the shards that answer. What it returns runs beside requests.
func (f further) recognise(ctx context.Context, s *service, router *shards.Router, id identity, keys storedKeys) (run []func(context.Context) error, err error) {
	for i, status := range router.Status()[1:] {
		shard := f.all[i]
		run = append(run, shard.Store.Run, func(ctx context.Context) error {
			if !router.AwaitChecked(ctx, shard.Number) {
				return nil
			}
			return shard.runner.Run(ctx)
		})
		if !status.IsUp {
			continue
		}
		marks, err := s.recognise(ctx, shard.db, id, keys, shard.Store)
		if err != nil {
			return nil, fmt.Errorf("the shard %s: %w", shard.Name, err)
		}
		run = append(run, marks)
	}
	return append(run, router.Run), nil
}

// pools adds those of the shards.
func (f further) pools(first map[string]*pgxpool.Pool) map[string]*pgxpool.Pool {
	for _, shard := range f.all {
		first["requests/"+shard.Name], first["tasks/"+shard.Name] = shard.db.Requests, shard.db.Tasks
	}
	return first
}

// shardStates tells metrics how the shards are.
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
