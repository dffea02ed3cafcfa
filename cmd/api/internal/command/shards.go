package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
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
			pool, err := database.OpenTasks(ctx, database.Source{URL: u.URL, Check: func(ctx context.Context, conn *pgx.Conn) error { return shards.Check(ctx, conn, e) }})
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

// entriesOf is the list of shards that the first one has or, while that does not answer, the one that the others have copies of.
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

type shardsListCmd struct {
	settings.Database
	settings.Log

	JSON bool `name:"json" help:"Print JSON."`
}

// Help says what the list is for.
func (*shardsListCmd) Help() string {
	return "Lists the databases that sessions are spread over, with about how many live sessions each has. " +
		"A shard with the weight 0 takes no new sessions; it is empty when its last session has ended."
}

// shardLine is a shard as it is listed.
type shardLine struct {
	Name   string  `json:"name"`
	Number int     `json:"number"`
	State  string  `json:"state"`
	Weight float64 `json:"weight"`
	// Live is approximately how many live sessions it has, and 0 only if there is none; null if that is not
	// known.
	Live *int64 `json:"live_sessions"`
}

// Run prints a line for each present or former shard.
func (c *shardsListCmd) Run(a *app) error {
	return withShards(a.ctx, c.Database, c.NewLogger(a.stderr), newStore(sessionstore.Config{}), func(all opened) error {
		var lines []shardLine
		var failed []error
		for _, shard := range all.shards {
			line := shardLine{Name: shard.Name, Number: shard.Number, State: "open", Weight: shard.Weight}
			if shard.Weight == 0 {
				line.State = "draining"
			}
			live, err := liveIn(a.ctx, shard.Store)
			switch {
			case err != nil:
				line.State = "unavailable"
				failed = append(failed, fmt.Errorf("shard %s: %w", shard.Name, err))
			case live == 0 && shard.Weight == 0:
				line.State = "empty"
				fallthrough
			default:
				line.Live = &live
			}
			lines = append(lines, line)
		}
		for _, e := range all.entries {
			switch {
			case !e.RemovedAt.IsZero():
				lines = append(lines, shardLine{Name: e.Name, Number: e.Number, State: "removed"})
			case !slices.ContainsFunc(lines, func(l shardLine) bool { return l.Number == e.Number }):
				lines = append(lines, shardLine{Name: e.Name, Number: e.Number, State: "not configured"})
			}
		}
		return errors.Join(c.print(a, lines), errors.Join(failed...))
	})
}

func (c *shardsListCmd) print(a *app, lines []shardLine) error {
	if c.JSON {
		return a.printJSON(map[string]any{"shards": lines})
	}
	return printTable(a.stdout, []string{"SHARD", "NUMBER", "STATE", "WEIGHT", "LIVE"}, lines, func(l shardLine) []string {
		live := "-"
		if l.Live != nil {
			live = strconv.FormatInt(*l.Live, 10)
		}
		return []string{l.Name, strconv.Itoa(l.Number), l.State, strconv.FormatFloat(l.Weight, 'g', -1, 64), live}
	})
}

// liveIn is approximately how many live sessions there are; 0 only if there is none.
func liveIn(ctx context.Context, store *sessionstore.Store) (int64, error) {
	has, err := shards.HasLive(ctx, store)
	if err != nil || !has {
		return 0, err
	}
	n, err := store.EstimateLive(ctx)
	return max(1, n), err
}

type shardsRemoveCmd struct {
	settings.Database
	settings.Log

	Name string `arg:"" help:"The shard."`
}

// Help says what to do before and after.
func (*shardsRemoveCmd) Help() string {
	return "Takes a shard without live sessions out of the list for good. Give it the weight 0 in LATCHKEY_SHARDS of every replica first, " +
		"and wait until `shards list` shows it as empty. Then take it out of LATCHKEY_SHARDS; its database is left as it is."
}

// Run removes the shard.
func (c *shardsRemoveCmd) Run(a *app) error {
	return withShards(a.ctx, c.Database, c.NewLogger(a.stderr), newStore(sessionstore.Config{}), func(all opened) error {
		e, known := shards.Find(all.entries, c.Name)
		i := slices.IndexFunc(all.shards, func(s shards.Shard) bool { return s.Name == c.Name })
		switch {
		case c.Name == shards.FirstName:
			return errors.New("the first shard cannot be removed: it has the list of the others")
		case !known:
			return fmt.Errorf("there is no shard %s", c.Name)
		case i < 0:
			return fmt.Errorf("LATCHKEY_SHARDS lacks %s: its database has to be asked whether sessions are left", c.Name)
		case all.shards[i].Weight > 0:
			return fmt.Errorf("the shard %s takes new sessions: give it the weight 0 first, as in %s:0=…, on every replica", c.Name, c.Name)
		}
		if err := shards.Remove(a.ctx, all.shards[0].Pool, e, all.shards[i].Pool, all.shards[i].Store); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.stdout, "removed the shard %s\n", c.Name)
		return err
	})
}

// eachFurther calls use with the database of each shard but the first, migrated or not.
func eachFurther(ctx context.Context, s settings.Database, use func(u settings.ShardURL, pool *pgxpool.Pool) error) error {
	for _, u := range s.FurtherShards() {
		pool, err := database.OpenTasks(ctx, database.Source{URL: u.URL})
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
