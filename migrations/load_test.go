package migrations_test

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"flag"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/migrations"
)

var loadRows = flag.Int("rows", 50_000, "how many sessions are there when they are migrated under load")

const (
	// mostWait is how long a request may wait for a lock: PostgreSQL refuses it then.
	mostWait = "1s"
	// readerStays is how long a transaction that has read all tables stays open, as a dump's does.
	readerStays = 2 * time.Second
	workers     = 4
	workerPause = 10 * time.Millisecond
)

//go:embed testdata/previous.sql
var previousText string

// previous are the statements of testdata/previous.sql by their names.
func previous(t *testing.T) map[string]string {
	t.Helper()
	statements := map[string]string{}
	for _, part := range strings.Split(previousText, "-- name: ")[1:] {
		name, sql, _ := strings.Cut(part, "\n")
		statements[name] = sql
	}
	if len(statements) < 20 {
		t.Fatalf("%d statements", len(statements))
	}
	return statements
}

// The previous program's statements continue working on the newest schema.
func TestPreviousStatementsPrepare(t *testing.T) {
	t.Parallel()
	conn, err := testdb.Pool(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for name, sql := range previous(t) {
		if _, err := conn.Conn().Prepare(t.Context(), name, sql); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Replicas of the previous program serve while the schema is migrated.
func TestMigrateUnderLoad(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	for down := (migrations.Applied{}); down.Version != 5; {
		var err error
		if down, err = migrations.Down(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
	}
	// One in ten is a session that Compas made.
	fill(t, pool, `
		INSERT INTO "sessionStore" ("id", "checksum", "data", "subject", "createdAt")
		SELECT `+numbered("1")+`, 'c', '{"a":1}', CASE WHEN n % 10 > 0 THEN 'user-' || n % 1000 END, now() - interval '2 days' FROM generate_series(1, $1::int) n`, `
		INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
		SELECT `+numbered("2")+`, `+numbered("1")+`, now(), now() + interval '10 days',
			CASE WHEN n % 10 > 0 THEN current_date + 10 END, CASE WHEN n % 10 > 0 THEN now() + interval '5 min' END FROM generate_series(1, $1::int) n`)

	sql := previous(t)
	underLoad(t, pool, func(ctx context.Context, pool *pgxpool.Pool) error {
		session, pair := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
		var at, ends, accessEnds time.Time
		if err := pool.QueryRow(ctx, sql["create"], session, "c", []byte(`{}`), "ada", nil, nil, nil, nil, pair, 300, 86400, nil, nil).
			Scan(&at, &ends, &accessEnds); err != nil {
			return err
		}
		for generation := range 2 {
			var accessGeneration int64
			if err := pool.QueryRow(ctx, sql["rotate"], session, pair, generation, time.Duration(0), 15*time.Second, 300, 86400, "agent", "192.0.2.1").
				Scan(&at, &ends, &accessGeneration, &accessEnds); err != nil {
				return err
			}
			if tag, err := pool.Exec(ctx, sql["get"], session, pair); err != nil || tag.RowsAffected() != 1 {
				return cmpErr(err, "get found nothing")
			}
		}
		if tag, err := pool.Exec(ctx, sql["update"], session, "c", []byte(`{"b":2}`), "d"); err != nil || tag.RowsAffected() != 1 {
			return cmpErr(err, "update changed nothing")
		}
		_, err := pool.Exec(ctx, sql["invalidate"], session, nil)
		return err
	})
}

// Compas continues while its tables are taken over.
func TestTakeOverUnderLoad(t *testing.T) {
	t.Parallel()
	pool := empty(t)
	if _, err := pool.Exec(t.Context(), compasTables); err != nil {
		t.Fatal(err)
	}
	fill(t, pool, `INSERT INTO "sessionStore" ("id", "checksum", "data") SELECT `+numbered("1")+`, 'c', '{"a":1}' FROM generate_series(1, $1::int) n`, `
		INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt")
		SELECT `+numbered("2")+`, `+numbered("1")+`, now(), now() + interval '10 days' FROM generate_series(1, $1::int) n`, `
		INSERT INTO "sessionStoreToken" ("id", "session", "refreshToken", "createdAt", "expiresAt")
		SELECT `+numbered("3")+`, `+numbered("1")+`, `+numbered("2")+`, now(), now() + interval '5 min' FROM generate_series(1, $1::int) n`)

	const token = `INSERT INTO "sessionStoreToken" ("id", "session", "refreshToken", "expiresAt", "createdAt") VALUES ($1, $2, $3, now() + interval '1 h', now())`
	underLoad(t, pool, func(ctx context.Context, pool *pgxpool.Pool) error {
		session, refresh, access := uuid.New(), uuid.New(), uuid.New()
		if _, err := pool.Exec(ctx, `INSERT INTO "sessionStore" ("id", "checksum", "data") VALUES ($1, 'c', '{}')`, session); err != nil {
			return err
		}
		if _, err := pool.Exec(ctx, token, refresh, session, nil); err != nil {
			return err
		}
		if _, err := pool.Exec(ctx, token, access, session, refresh); err != nil {
			return err
		}
		if tag, err := pool.Exec(ctx, `SELECT s."data" FROM "sessionStoreToken" t JOIN "sessionStore" s ON s."id" = t."session" WHERE t."id" = $1`, access); err != nil || tag.RowsAffected() != 1 {
			return cmpErr(err, "get found nothing")
		}
		if _, err := pool.Exec(ctx, `UPDATE "sessionStoreToken" SET "revokedAt" = now() WHERE "id" IN ($1, $2)`, access, refresh); err != nil {
			return err
		}
		_, err := pool.Exec(ctx, `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`, session)
		return err
	})
}

func cmpErr(err error, otherwise string) error { return cmp.Or(err, errors.New(otherwise)) }

// numbered is SQL for the id of the n-th row of a kind.
func numbered(kind string) string {
	return `('0000000` + kind + `-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid`
}

func fill(t *testing.T, pool *pgxpool.Pool, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := pool.Exec(t.Context(), sql, *loadRows); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pool.Exec(t.Context(), `ANALYZE`); err != nil {
		t.Fatal(err)
	}
}

// underLoad migrates while requests run that PostgreSQL refuses if they have waited too long. Each request is one after
// another; none may fail.
func underLoad(t *testing.T, pool *pgxpool.Pool, requests func(context.Context, *pgxpool.Pool) error) {
	t.Helper()
	cfg := pool.Config()
	cfg.MaxConns = workers
	cfg.ConnConfig.RuntimeParams["lock_timeout"] = mostWait
	clients, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer clients.Close()

	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var mu sync.Mutex
	var rounds int
	var longest time.Duration
	for range workers {
		all.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				if err := requests(context.WithoutCancel(ctx), clients); err != nil {
					t.Errorf("a request failed: %v", err)
					return
				}
				mu.Lock()
				rounds, longest = rounds+1, max(longest, time.Since(began))
				mu.Unlock()
				time.Sleep(workerPause)
			}
		})
	}
	reading := make(chan struct{})
	all.Go(func() { read(t, pool, reading) })
	<-reading

	began := time.Now()
	applied, err := migrations.Up(t.Context(), pool)
	took := time.Since(began)
	stop()
	all.Wait()
	if err != nil || len(applied) == 0 {
		t.Fatalf("migrated %v: %v", applied, err)
	}
	if err := migrations.Check(t.Context(), pool); err != nil {
		t.Error(err)
	}
	if took < readerStays {
		t.Errorf("it took %v: there was nothing to wait for", took)
	}
	t.Logf("%d rows, %d migrations in %v; meanwhile %d rounds of requests, the longest in %v",
		*loadRows, len(applied), took.Round(time.Millisecond), rounds, longest.Round(time.Millisecond))
}

// read holds the locks of a reader for a while.
func read(t *testing.T, pool *pgxpool.Pool, reading chan<- struct{}) {
	t.Helper()
	begun := sync.OnceFunc(func() { close(reading) })
	defer begun()
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SELECT FROM "sessionStore" s LEFT JOIN "sessionStoreToken" t ON t."session" = s."id" LIMIT 1`); err != nil {
			return err
		}
		begun()
		time.Sleep(readerStays)
		return nil
	})
	if err != nil {
		t.Errorf("the reader: %v", err)
	}
}
