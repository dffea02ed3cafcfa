package shards

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const undefinedTable = "42P01"

// ErrWrong says that a database is not the shard that it is taken for. Waiting does not cure it.
var ErrWrong = errors.New("it is not the shard that it is configured as")

// ErrRefused says that a database is the shard, and must not be used with this configuration.
var ErrRefused = errors.New("it must not be used as this service is configured")

func isWrong(err error) bool { return errors.Is(err, ErrWrong) || errors.Is(err, ErrRefused) }

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrWrong, fmt.Errorf(format, args...))
}

// Entry is a shard as the first one's database knows it.
type Entry struct {
	Number int
	ID     uuid.UUID
	Name   string
	// AddedAt is when it was registered, RemovedAt when it was removed; zero while it is there.
	AddedAt, RemovedAt time.Time

	isSelf, isClaimed bool
}

const entriesQuery = `SELECT "number", "id", "name", "addedAt", "removedAt", "isSelf", "isClaimed" FROM "sessionStoreShard" ORDER BY "number"`

// Entries lists the shards that the database of the first one knows, removed ones too.
func Entries(ctx context.Context, first *pgxpool.Pool) ([]Entry, error) {
	return entriesOf(ctx, first)
}

func entriesOf(ctx context.Context, first querier) ([]Entry, error) {
	entries, err := read(ctx, first, entriesQuery)
	for _, e := range entries {
		if e.isSelf {
			return nil, wrong("the database of LATCHKEY_DATABASE_URL is the shard %q, and not the first", e.Name)
		}
	}
	return entries, err
}

// querier is a pool, or one of its connections.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func read(ctx context.Context, db querier, query string) ([]Entry, error) {
	rows, _ := db.Query(ctx, query) // rows have its error
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Entry, err error) {
		var removed pgtype.Timestamptz
		err = row.Scan(&e.Number, &e.ID, &e.Name, &e.AddedAt, &removed, &e.isSelf, &e.isClaimed)
		e.RemovedAt = removed.Time
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the list of shards: %w", err)
	}
	return entries, nil
}

// Lacking are the names of shards that were added and not removed, of which none of these names
// is one: what leaves a shard out does half of what it says, or signs users out.
func Lacking(entries []Entry, names []string) (lacking []string) {
	for _, e := range entries {
		if e.RemovedAt.IsZero() && !slices.Contains(names, e.Name) {
			lacking = append(lacking, e.Name)
		}
	}
	return lacking
}

// Removed are the numbers of removed shards.
func Removed(entries []Entry) (numbers []int) {
	for _, e := range entries {
		if !e.RemovedAt.IsZero() {
			numbers = append(numbers, e.Number)
		}
	}
	return numbers
}

// Find returns the entry of a name, of a shard that is there.
func Find(entries []Entry, name string) (Entry, bool) {
	for _, e := range entries {
		if e.Name == name && e.RemovedAt.IsZero() {
			return e, true
		}
	}
	return Entry{}, false
}

// Check returns [ErrWrong] where a connection does not lead to the database of an entry.
func Check(ctx context.Context, conn *pgx.Conn, want Entry) error {
	own, err := read(ctx, conn, entriesQuery)
	said, _ := errors.AsType[*pgconn.PgError](err)
	switch {
	case err != nil && (said == nil || said.Code != undefinedTable):
		return err
	case len(own) != 1 || !own[0].isSelf:
		return wrong("its database is not a shard: run `api migrate`")
	case own[0].ID != want.ID || own[0].Number != want.Number:
		return wrong("its database is the shard %q with the number %d, and not number %d", own[0].Name, own[0].Number, want.Number)
	}
	return nil
}

const (
	// registerLock has one registration at a time, in the database of the first shard.
	registerLock   = `SELECT pg_advisory_lock("sessionStoreLock"(6138092177015548021))`
	registerUnlock = `SELECT pg_advisory_unlock("sessionStoreLock"(6138092177015548021))`

	nextNumberQuery = `SELECT COALESCE(max("number"), 0) + 1 FROM "sessionStoreShard"`

	addEntryQuery = `INSERT INTO "sessionStoreShard" ("number", "id", "name", "isSelf", "isClaimed") VALUES ($1, $2, $3, false, false)`

	addSelfQuery = `INSERT INTO "sessionStoreShard" ("number", "id", "name", "isSelf", "isClaimed") VALUES ($1, $2, $3, true, true)`

	claimEntryQuery = `UPDATE "sessionStoreShard" SET "isClaimed" = true, "name" = $2 WHERE "id" = $1`

	dropEntryQuery = `DELETE FROM "sessionStoreShard" WHERE "id" = $1 AND NOT "isClaimed"`

	removeEntryQuery = `UPDATE "sessionStoreShard" SET "removedAt" = now() WHERE "id" = $1 AND "removedAt" IS NULL`

	hasNotesQuery = `SELECT EXISTS (SELECT FROM "sessionStoreSignOut") OR EXISTS (SELECT FROM "sessionStoreUncounted")`

	hasSessionsQuery = `SELECT EXISTS (SELECT FROM "sessionStore")`
)

// Register has the first shard's database know the shard, and the shard's own database which one
// it is. A shard that was registered before keeps its number, under whatever name. Both databases
// have been migrated.
func Register(ctx context.Context, first, shard *pgxpool.Pool, name string) (e Entry, isNew bool, err error) {
	conn, err := first.Acquire(ctx) // one: the pool may have no second
	if err != nil {
		return e, false, fmt.Errorf("lock the list of shards: %w", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, registerLock); err != nil {
		return e, false, fmt.Errorf("lock the list of shards: %w", err)
	}
	defer func() {
		if _, failed := conn.Exec(ctx, registerUnlock); failed != nil {
			_ = conn.Conn().Close(context.WithoutCancel(ctx)) // which unlocks it
		}
	}()
	return register(ctx, conn, shard, name)
}

// register is Register for the holder of the lock. Each step is committed separately: after
// an interruption, the next call continues.
func register(ctx context.Context, first querier, shard *pgxpool.Pool, name string) (e Entry, isNew bool, err error) {
	entries, err := entriesOf(ctx, first)
	if err != nil {
		return e, false, err
	}
	own, err := read(ctx, shard, entriesQuery)
	if err != nil {
		return e, false, err
	}
	named, isNamed := Find(entries, name)
	switch {
	case len(own) == 1 && own[0].isSelf:
		e, err = known(entries, own[0])
		if err == nil && isNamed && named.ID != e.ID {
			err = wrong("the name %q is that of shard number %d, and its database is that of number %d", name, named.Number, e.Number)
		}
	case len(own) > 0 && !isNamed, len(own) > 1:
		return e, false, wrong("its database is the first shard of an installation")
	case isNamed && named.isClaimed:
		return e, false, wrong("the shard %q is number %d, but this database is not marked as that shard", name, named.Number)
	default:
		e, err = add(ctx, first, shard, name, named)
		isNew = true
	}
	if err != nil {
		return e, false, err
	}
	if e.Name != name || !e.isClaimed {
		e.Name = name
		_, err = first.Exec(ctx, claimEntryQuery, e.ID, name)
	}
	return e, isNew, err
}

// known is the entry of a shard that says which it is.
func known(entries []Entry, own Entry) (Entry, error) {
	for _, e := range entries {
		switch {
		case e.ID != own.ID:
		case !e.RemovedAt.IsZero():
			return e, wrong("it was removed on %s", e.RemovedAt.UTC().Format(time.RFC3339))
		default:
			return e, nil
		}
	}
	return own, wrong("it is a shard of another installation")
}

// add registers an empty database. The entry, if it is not zero, is from an attempt that was interrupted.
func add(ctx context.Context, first querier, shard *pgxpool.Pool, name string, e Entry) (Entry, error) {
	var hasSessions bool
	if err := shard.QueryRow(ctx, hasSessionsQuery).Scan(&hasSessions); err != nil {
		return e, fmt.Errorf("look for sessions: %w", err)
	}
	if hasSessions {
		return e, wrong("its database has sessions already: a shard begins empty")
	}
	if e.ID == uuid.Nil {
		e = Entry{ID: uuid.New(), Name: name}
		err := first.QueryRow(ctx, nextNumberQuery).Scan(&e.Number) // the lock keeps others from taking it
		if err == nil {
			_, err = first.Exec(ctx, addEntryQuery, e.Number, e.ID, name)
		}
		if err != nil {
			return e, fmt.Errorf("register the shard: %w", err)
		}
	}
	if e.Number > sessionid.MaxShard {
		return e, fmt.Errorf("there were %d shards already, and no number is left", sessionid.MaxShard)
	}
	own, err := read(ctx, shard, entriesQuery)
	if err == nil && len(own) > 0 { // it has just got the entry: it is the first one's database
		_, err = first.Exec(ctx, dropEntryQuery, e.ID)
		return e, errors.Join(wrong("its database is that of LATCHKEY_DATABASE_URL"), err)
	}
	if err == nil {
		_, err = shard.Exec(ctx, addSelfQuery, e.Number, e.ID, name)
	}
	return e, err
}

// Remove takes a shard out of the first one's list for good. It may have no live session, nor a note
// of work on another shard, which nobody would read any more. Its database is not changed.
func Remove(ctx context.Context, first *pgxpool.Pool, e Entry, shard *pgxpool.Pool, store *sessionstore.Store) error {
	live, err := store.HasLive(ctx)
	if err != nil {
		return err
	}
	if live {
		return fmt.Errorf("the shard %q has live sessions", e.Name)
	}
	var hasNotes bool
	if err := shard.QueryRow(ctx, hasNotesQuery).Scan(&hasNotes); err != nil {
		return fmt.Errorf("look for notes of work on other shards: %w", err)
	}
	if hasNotes {
		return fmt.Errorf("the shard %q has a note of work on another shard: try again when that shard answers", e.Name)
	}
	_, err = isolation.Pool{Pool: first}.Exec(ctx, removeEntryQuery, e.ID)
	return err
}
