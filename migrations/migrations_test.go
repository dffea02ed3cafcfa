package migrations_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/migrations"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// empty is a database without a schema.
func empty(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := testdb.Pool(t)
	for _, sql := range []string{`DROP SCHEMA public CASCADE`, `CREATE SCHEMA public`, `DROP SCHEMA ` + migrations.RiverSchema + ` CASCADE`} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return pool
}

func columns(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `
		SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
		FROM information_schema.columns WHERE table_schema = 'public' AND table_name LIKE 'session%'
		UNION ALL
		SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename LIKE 'session%'
		ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestUpDownUp(t *testing.T) {
	t.Parallel()
	pool := empty(t)
	if err := migrations.Check(t.Context(), pool); !errors.Is(err, migrations.ErrBehind) {
		t.Errorf("an empty database: %v", err)
	}
	applied, err := migrations.Up(t.Context(), pool)
	if err != nil || len(applied) < 2 {
		t.Fatalf("%v, %v", applied, err)
	}
	if err := migrations.Check(t.Context(), pool); err != nil {
		t.Error(err)
	}
	if applied, err := migrations.Up(t.Context(), pool); err != nil || len(applied) != 0 {
		t.Errorf("a second time: %v, %v", applied, err)
	}
	want := columns(t, pool)
	list, err := migrations.List(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range slices.Backward(list) {
		if status.JobQueue {
			continue
		}
		if status.AppliedAt.IsZero() {
			t.Errorf("%s is pending", status.Name)
		}
		down, err := migrations.Down(t.Context(), pool)
		if err != nil || down.Version != status.Version {
			t.Fatalf("down from %s: %+v, %v", status.Name, down, err)
		}
		if err := migrations.Check(t.Context(), pool); !errors.Is(err, migrations.ErrBehind) {
			t.Errorf("after going down from %s: %v", status.Name, err)
		}
	}
	if _, err := migrations.Up(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, columns(t, pool)); diff != "" {
		t.Errorf("down and up again gives another schema: %s", diff)
	}
}

// Replicas that start together migrate once.
func TestUpAtOnce(t *testing.T) {
	t.Parallel()
	pool := empty(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	ran := map[string]int{}
	for range 4 {
		all.Go(func() {
			applied, err := migrations.Up(t.Context(), pool)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, a := range applied {
				ran[a.Name]++
			}
		})
	}
	all.Wait()
	for name, n := range ran {
		if n != 1 {
			t.Errorf("%s ran %d times", name, n)
		}
	}
	if err := migrations.Check(t.Context(), pool); err != nil || len(ran) == 0 {
		t.Errorf("%v, %v", ran, err)
	}
}

// compasTables are what Compas itself makes.
const compasTables = `
CREATE TABLE "sessionStore" ("id" uuid PRIMARY KEY NOT NULL DEFAULT gen_random_uuid(),
  "checksum" varchar NOT NULL, "data" jsonb NOT NULL, "revokedAt" timestamptz NULL,
  "createdAt" timestamptz NOT NULL DEFAULT now(), "updatedAt" timestamptz NOT NULL DEFAULT now());
CREATE TABLE "sessionStoreToken" ("id" uuid PRIMARY KEY NOT NULL DEFAULT gen_random_uuid(), "session" uuid NOT NULL,
  "expiresAt" timestamptz NOT NULL, "refreshToken" uuid NULL, "revokedAt" timestamptz NULL, "createdAt" timestamptz NOT NULL,
  CONSTRAINT "sessionStoreTokenSessionFk" FOREIGN KEY ("session") REFERENCES "sessionStore" ("id") ON DELETE CASCADE,
  CONSTRAINT "sessionStoreTokenRefreshTokenFk" FOREIGN KEY ("refreshToken") REFERENCES "sessionStoreToken" ("id") ON DELETE CASCADE);
CREATE INDEX "sessionStoreTokenSessionIdx" ON "sessionStoreToken" ("session");
CREATE INDEX "sessionStoreTokenRefreshTokenIdx" ON "sessionStoreToken" ("refreshToken");`

// The tables that Compas made, with rows in them, are taken over unchanged.
func TestUpOnCompasTables(t *testing.T) {
	t.Parallel()
	pool := empty(t)
	const compas = compasTables + `
INSERT INTO "sessionStore" ("checksum", "data") VALUES ('1234', '{"a":1}');
INSERT INTO "sessionStoreToken" ("session", "expiresAt", "createdAt") SELECT "id", now(), now() FROM "sessionStore";`
	if _, err := pool.Exec(t.Context(), compas); err != nil {
		t.Fatal(err)
	}
	if _, err := migrations.Up(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	got := columns(t, pool)
	fresh := testdb.Pool(t)
	if diff := cmp.Diff(columns(t, fresh), got); diff != "" {
		t.Errorf("a database that Compas made ends up with another schema: %s", diff)
	}
	var rows int
	err := pool.QueryRow(t.Context(), `SELECT count(*) FROM "sessionStore" JOIN "sessionStoreToken" t ON t."session" = "sessionStore"."id"
		WHERE "checksum" = '1234' AND t."generation" = 0`).Scan(&rows)
	if err != nil || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

// Sessions of the earlier shape, with a row for each token, are carried over,
// there and back.
func TestOneRowPerPair(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	for {
		down, err := migrations.Down(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		if down.Version == 3 {
			break
		}
	}
	const twoRows = `
INSERT INTO "sessionStore" ("id", "checksum", "data", "expiresAt", "accessTokenTtl", "refreshTokenTtl")
VALUES ('00000000-0000-7000-8000-000000000001', 'c', '{}', '2031-01-01Z', 60, 3600),
  ('00000000-0000-7000-8000-000000000002', 'compas', '{}', NULL, NULL, NULL);
INSERT INTO "sessionStoreToken" ("id", "session", "refreshToken", "createdAt", "expiresAt", "expiresOn", "generation", "issuedAt", "confirmedAt")
VALUES ('00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-000000000001', NULL, '2030-01-01Z', '2030-02-01Z', '2030-02-01', 7, '2030-01-01Z', NULL),
  ('00000000-0000-7000-8000-00000000000b', '00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-00000000000a', '2030-01-01Z', '2030-01-02Z', NULL, 9, NULL, '2030-01-01 12:00Z'),
  ('00000000-0000-7000-8000-00000000000c', '00000000-0000-7000-8000-000000000002', NULL, '2030-01-01Z', '2030-02-01Z', NULL, 0, NULL, NULL),
  ('00000000-0000-7000-8000-00000000000d', '00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-00000000000c', '2030-01-01Z', '2030-01-02Z', NULL, 0, NULL, NULL)`
	if _, err := pool.Exec(t.Context(), twoRows); err != nil {
		t.Fatal(err)
	}
	check := func(when, query, want string) {
		t.Helper()
		var got string
		if err := pool.QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %s (%v), want %s", when, got, err, want)
		}
	}
	const oneRow = `SELECT concat_ws(' ', right("id"::text, 1), "generation", "accessGeneration", "accessExpiresAt" AT TIME ZONE 'UTC',
		"confirmedAt" AT TIME ZONE 'UTC', "sessionExpiresAt" AT TIME ZONE 'UTC', "accessTokenTtl", "refreshTokenTtl")
		FROM "sessionStoreToken" WHERE "session" = '00000000-0000-7000-8000-000000000001'`
	const wantOneRow = "a 7 9 2030-01-02 00:00:00 2030-01-01 12:00:00 2031-01-01 00:00:00 60 3600"
	const compasRows = `SELECT count(*)::text FROM "sessionStoreToken" WHERE "session" = '00000000-0000-7000-8000-000000000002'`
	if _, err := migrations.Up(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	check("up", oneRow, wantOneRow)
	check("up, rows of Compas", compasRows, "2")
	for {
		down, err := migrations.Down(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		if down.Version == 3 {
			break
		}
	}
	check("down", `SELECT string_agg(concat_ws(' ', "generation", "expiresAt" AT TIME ZONE 'UTC'), ', ' ORDER BY "refreshToken" NULLS FIRST)
		FROM "sessionStoreToken" WHERE "session" = '00000000-0000-7000-8000-000000000001'`, "7 2030-02-01 00:00:00, 9 2030-01-02 00:00:00")
	check("down, the session", `SELECT concat_ws(' ', "expiresAt" AT TIME ZONE 'UTC', "accessTokenTtl", "refreshTokenTtl")
		FROM "sessionStore" WHERE "checksum" = 'c'`, "2031-01-01 00:00:00 60 3600")
	if _, err := migrations.Up(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	check("up again", oneRow, wantOneRow)
	check("up again, rows of Compas", compasRows, "2")
}

// A migration that was interrupted, wherever that was, continues when it is run again.
func TestUpGoesOn(t *testing.T) {
	t.Parallel()
	pool := empty(t)
	if _, err := pool.Exec(t.Context(), compasTables+`
		INSERT INTO "sessionStore" ("checksum", "data") SELECT 'c', '{}' FROM generate_series(1, 5000);
		INSERT INTO "sessionStoreToken" ("session", "expiresAt", "createdAt") SELECT "id", now(), now() FROM "sessionStore"`); err != nil {
		t.Fatal(err)
	}
	interrupted := 0
	for patience := 5 * time.Millisecond; ; patience += 5 * time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := migrations.Up(ctx, pool)
		ended := ctx.Err() != nil || pgconn.Timeout(err) // to connect times out a moment before
		cancel()
		if err == nil {
			break
		}
		if !ended {
			t.Fatal(err)
		}
		interrupted++
	}
	if interrupted < 3 {
		t.Errorf("it was interrupted %d times", interrupted)
	}
	if diff := cmp.Diff(columns(t, testdb.Pool(t)), columns(t, pool)); diff != "" {
		t.Errorf("another schema: %s", diff)
	}
	var invalid, open int
	err := pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM pg_index WHERE NOT "indisvalid"),
		(SELECT count(*) FROM "sessionStoreToken" WHERE "expiresOn" IS NULL)`).Scan(&invalid, &open)
	if err != nil || invalid != 0 || open != 0 {
		t.Errorf("%d indexes are not valid, %d rows were left out, %v", invalid, open, err)
	}
}

// A replica of the previous program that ends a session alongside this one does not
// say why, and the row says that it did not.
func TestPreviousEndsWithoutAReason(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	statements := previous(t)
	for name, arguments := range map[string][]any{
		"invalidate":        {"00000000-0000-7000-8000-000000000001", nil},
		"invalidateSubject": {"ada", "00000000-0000-0000-0000-000000000000"},
	} {
		if _, err := pool.Exec(t.Context(), `
			INSERT INTO "sessionStore" ("id", "subject", "checksum", "data") VALUES ('00000000-0000-7000-8000-000000000001', 'ada', '', '{}')`); err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(t.Context(), statements[name], arguments...); err != nil {
			t.Fatal(err)
		}
		var ended, silent int
		if err := pool.QueryRow(t.Context(), `WITH "gone" AS (DELETE FROM "sessionStore" RETURNING *)
			SELECT count("revokedAt"), count(*) FILTER (WHERE "endReason" IS NULL AND "endedBy" IS NULL) FROM "gone"`).Scan(&ended, &silent); err != nil {
			t.Fatal(err)
		}
		if ended != 1 || silent != 1 {
			t.Errorf("%s: %d ended, %d without a reason", name, ended, silent)
		}
	}
}
