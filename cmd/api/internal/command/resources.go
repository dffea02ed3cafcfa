package command

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/user"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/keyfiles"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/trail"
	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// withSessions gives a command the sessions, of all shards if there are several. It neither makes nor reads tokens, so it
// does not need the service's keys.
func withSessions(ctx context.Context, s settings.Database, log *slog.Logger, use func(sessions) error, observers ...sessionstore.Observer) error {
	return withShards(ctx, s, log, newStore(sessionstore.Config{Observers: observers}), func(all opened) error {
		if err := all.check(); err != nil {
			return err
		}
		if len(all.shards) == 1 {
			return use(all.shards[0].Store)
		}
		router, err := all.router(ctx, log)
		if err != nil {
			return err
		}
		return use(router)
	})
}

// eachStore gives a command the sessions of one shard after another, which it announces if there are
// several.
func (a *app) eachStore(ctx context.Context, s settings.Database, log *slog.Logger, cfg sessionstore.Config, use func(*sessionstore.Store) error) error {
	return withShards(ctx, s, log, newStore(cfg), func(all opened) error {
		if err := all.check(); err != nil {
			return err
		}
		for _, shard := range all.shards {
			if len(all.shards) > 1 {
				_, _ = fmt.Fprintf(a.stderr, "shard %s:\n", shard.Name)
			}
			if err := use(shard.Store); err != nil {
				return err
			}
		}
		return nil
	})
}

// newStore makes stores of a configuration, except for its part about tokens.
func newStore(cfg sessionstore.Config) func(*pgxpool.Pool, int) (*sessionstore.Store, error) {
	return func(pool *pgxpool.Pool, number int) (*sessionstore.Store, error) {
		set, err := keyfiles.NewSigningKeys(keystore.DefaultAlgorithm)
		if err != nil {
			return nil, err
		}
		ring, err := tokens.ParseKeyRing([]byte(set))
		if err != nil {
			return nil, err
		}
		cfg.Shard, cfg.Tokens = number, tokens.Config{Issuer: "http://localhost", Audience: "api"}
		store, err := sessionstore.New(pool, ring, cfg)
		if err != nil {
			return nil, fmt.Errorf("sessions: %w", err)
		}
		return store, nil
	}
}

// byOperator is [trail.While] for a command: the actor is an operator at a command line. Standard output is for what a command
// prints, so events that would go there go to standard error.
func byOperator(a *app, s settings.Audit, log *slog.Logger, use func(context.Context, trail.Trail) error) error {
	return trail.While(a.ctx, s, a.stderr, log, nil, func(t trail.Trail) error {
		return use(audit.WithOrigin(a.ctx, audit.Origin{Actor: audit.Actor{Type: audit.Operator, ID: operatorName()}}), t)
	})
}

// operatorName is user@host, without an unknown part.
func operatorName() string {
	name := fmt.Sprintf("uid %d", os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}

// withEvents gives a command the deliveries of events, of all shards if there are several.
func withEvents(ctx context.Context, s settings.Database, log *slog.Logger, use func(events.Queue) error) error {
	return withShards(ctx, s, log, newStore(sessionstore.Config{}), func(all opened) error {
		if err := all.check(); err != nil {
			return err
		}
		var queue events.Queue
		for _, shard := range all.shards {
			queue = queue.With(shard.Number, shard.Pool)
		}
		return use(queue)
	})
}

// keysTask is what commands about keys in PostgreSQL share.
type keysTask struct {
	settings.Database
	settings.StoredKeys
	settings.Log
}

// Validate requires the keys to be in PostgreSQL.
func (k *keysTask) Validate() error { return k.Required() }

// withKeys gives a command the keys in the database of the first shard, with their copies in those of the others.
func (k *keysTask) withKeys(ctx context.Context, log *slog.Logger, use func(*keystore.Store) error) error {
	return withShards(ctx, k.Database, log, newStore(sessionstore.Config{}), func(all opened) error {
		if err := all.check(); err != nil {
			return err
		}
		cfg := keystore.Config{Logger: log}
		for _, shard := range all.shards[1:] {
			cfg.Copies = append(cfg.Copies, keystore.Copy{Name: shard.Name, Pool: shard.Pool})
		}
		keys, err := k.Open(all.shards[0].Pool, cfg)
		if err != nil {
			return err
		}
		return settings.Named(use(keys))
	})
}

// keysChange is what commands that change them share.
type keysChange struct {
	keysTask
	settings.Audit
}

func (k *keysChange) changeKeys(a *app, use func(context.Context, *keystore.Store, trail.Trail) error) error {
	log := k.NewLogger(a.stderr)
	return byOperator(a, k.Audit, log, func(ctx context.Context, t trail.Trail) error {
		return k.withKeys(ctx, log, func(keys *keystore.Store) error { return use(ctx, keys, t) })
	})
}
