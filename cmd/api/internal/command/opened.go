package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/migrations"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// sessions are those of one database, or of all shards.
type sessions interface {
	Find(ctx context.Context, params sessionstore.FindParams) (sessionstore.Page, error)
	History(ctx context.Context, id uuid.UUID) (sessionstore.History, error)
	Theft(ctx context.Context, id uuid.UUID) (sessionstore.LeakReport, error)
	EstimateLive(ctx context.Context) (int64, error)
	Invalidate(ctx context.Context, id uuid.UUID, cause ...sessionstore.Cause) error
	InvalidateSubject(ctx context.Context, subject string, keep uuid.UUID, cause ...sessionstore.Cause) (int64, error)
	SignOutAll(ctx context.Context, cause ...sessionstore.Cause) error
	TellsEvents(ctx context.Context) (bool, error)
	RevokeSignedOut(ctx context.Context, progress func(revoked int64)) (int64, error)
}

// opened are the shards of the settings, the first one first, and what the first one's database knows
// about all present and former ones.
type opened struct {
	shards  []shards.Shard
	entries []shards.Entry
}

// withShards opens all shards for a command. They may not answer.
func withShards(ctx context.Context, s settings.Database, log *slog.Logger, storeOf func(pool *pgxpool.Pool, number int) (*sessionstore.Store, error), use func(opened) error) error {
	return database.WithTables(ctx, s, log, func(first *pgxpool.Pool) error {
		entries, err := entriesOf(ctx, s, log, first)
		if err != nil {
			return err
		}
		store, err := storeOf(first, 0)
		if err != nil {
			return err
		}
		all := opened{entries: entries, shards: []shards.Shard{{Name: shards.FirstName, Weight: s.FirstWeight(), Store: store, Pool: first, Check: func(ctx context.Context) error {
			return migrations.Check(ctx, first)
		}}}}
		for _, u := range s.FurtherShards() {
			e, known := shards.Find(entries, u.Name)
			if !known {
				return fmt.Errorf("the shard %s of LATCHKEY_SHARDS is not known yet: run `api migrate`", u.Name)
			}
			pool, err := database.OpenTasks(ctx, database.Source{URL: u.URL, Pooled: u.Pooled(), Check: func(ctx context.Context, conn *pgx.Conn) error { return shards.Check(ctx, conn, e) }})
			if err != nil {
				return err
			}
			defer pool.Close()
			if store, err = storeOf(pool, e.Number); err != nil {
				return err
			}
			all.shards = append(all.shards, shards.Shard{Number: e.Number, Name: u.Name, Weight: u.Weight, Store: store, Pool: pool, Check: func(ctx context.Context) error {
				return migrations.Check(ctx, pool)
			}})
		}
		return use(all)
	})
}

// entriesOf returns the list of shards on the first one or, while that does not answer, the others' copies of it.
func entriesOf(ctx context.Context, s settings.Database, log *slog.Logger, first *pgxpool.Pool) ([]shards.Entry, error) {
	err := migrations.Check(ctx, first)
	if err == nil {
		return shards.Entries(ctx, first)
	}
	if _, answers := errors.AsType[*pgconn.PgError](err); answers || errors.Is(err, migrations.ErrBehind) || errors.Is(err, migrations.ErrSchema) || !s.Sharded() {
		return nil, err
	}
	entries := database.CopiedShards(ctx, s)
	if len(entries) == 0 {
		return nil, err
	}
	log.WarnContext(ctx, "the first shard does not answer: this is about the others", "error", err)
	return entries, nil
}

// check refuses to continue without a shard that was added: a command would do half of what it
// says.
func (o opened) check() error {
	var names []string
	for _, s := range o.shards {
		names = append(names, s.Name)
	}
	if lacking := shards.Lacking(o.entries, names); len(lacking) > 0 {
		return fmt.Errorf("LATCHKEY_SHARDS lacks %s, which has sessions: set it as for the service", lacking[0])
	}
	return nil
}

// router routes commands, which create no session.
func (o opened) router(ctx context.Context, log *slog.Logger) (*shards.Router, error) {
	router, err := shards.New(shards.Config{Shards: o.shards, Removed: shards.Removed(o.entries), Logger: log})
	if err != nil {
		return nil, err
	}
	return router, router.Check(ctx)
}

// eachFurther calls use with the database of each shard but the first, migrated or not, bypassing the pooler if there is one.
func eachFurther(ctx context.Context, s settings.Database, use func(u settings.ShardURL, pool *pgxpool.Pool) error) error {
	for _, u := range s.FurtherShards() {
		pool, err := database.OpenTasks(ctx, database.Source{URL: u.Unpooled()})
		if err == nil {
			err = use(u, pool)
			pool.Close()
		}
		if err != nil {
			return fmt.Errorf("shard %s: %w", u.Name, err)
		}
	}
	return nil
}

// notSharded refuses a command that is about one database.
func notSharded(s settings.Database, command string) error {
	if !s.Sharded() {
		return nil
	}
	return settings.WrongTogether(strings.TrimSpace(command + " is for one database: run it without LATCHKEY_SHARDS, once for each, with the LATCHKEY_DATABASE_URL of that shard"))
}
