package cleanup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

const day = 24 * time.Hour

type kit struct {
	store *sessionstore.Store
	pool  *pgxpool.Pool
}

func setup(t *testing.T) kit {
	t.Helper()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	pool := testdb.Pool(t)
	store, err := sessionstore.New(pool, ring, sessionstore.Config{
		Tokens: tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return kit{store: store, pool: pool}
}

// create makes n sessions that look so old, and returns their ids.
func (k kit) create(t *testing.T, n int, age time.Duration) []uuid.UUID {
	t.Helper()
	ids := make([]uuid.UUID, n)
	for i := range ids {
		session, _, err := k.store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = session.ID
	}
	if age == 0 {
		return ids
	}
	// The id tells the time of creation, too.
	for i, id := range ids {
		ids[i] = aged(id, age)
		k.exec(t, `INSERT INTO "sessionStore" ("id", "checksum", "data", "createdAt") VALUES ($1, '', '{}', now() - $2::interval)`, ids[i], age)
		k.exec(t, `UPDATE "sessionStoreToken" SET "session" = $2, "expiresAt" = "expiresAt" - $3::interval,
			"expiresOn" = "expiresOn" - $4::int WHERE "session" = $1`, id, ids[i], age, int(age/day))
		k.exec(t, `DELETE FROM "sessionStore" WHERE "id" = $1`, id)
	}
	return ids
}

func aged(id uuid.UUID, by time.Duration) uuid.UUID {
	seconds, _ := id.Time().UnixTime()
	millis := (seconds - int64(by/time.Second)) * 1000
	for i := range 6 {
		id[i] = byte(millis >> (8 * (5 - i)))
	}
	return id
}

func (k kit) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := k.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func (k kit) rows(t *testing.T) (sessions, tokenRows int) {
	t.Helper()
	err := k.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM "sessionStore"), (SELECT count(*) FROM "sessionStoreToken")`).
		Scan(&sessions, &tokenRows)
	if err != nil {
		t.Fatal(err)
	}
	return sessions, tokenRows
}

func (k kit) revoke(t *testing.T, ids []uuid.UUID, ago time.Duration) {
	t.Helper()
	for _, id := range ids {
		if err := k.store.Invalidate(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		k.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now() - $2::interval WHERE "id" = $1`, id, ago)
	}
}

func TestRunRemovesWhatHasEnded(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.create(t, 7, (30+16)*day)                    // expired 16 days ago
	k.create(t, 2, (30+12)*day)                    // expired 12 days ago: kept for now
	k.create(t, 3, 0)                              // live
	k.revoke(t, k.create(t, 5, 0), 15*day)         // revoked 15 days ago
	k.revoke(t, k.create(t, 1, 0), 13*day)         // revoked 13 days ago: kept for now
	k.create(t, 4, 20*day)                         // live, but older than 19 days
	cfg := cleanup.Config{SessionMaxAge: 43 * day} // nothing live is so old
	want := cleanup.Summary{Expired: 7, Revoked: 5}

	cfg.DryRun = true
	dry, err := cleanup.Run(t.Context(), k.store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	dry.Duration = 0
	// Two of the expired ones are also over the maximum age.
	if diff := cmp.Diff(cleanup.Summary{DryRun: true, Expired: 7, Revoked: 5, Aged: 7}, dry); diff != "" {
		t.Error(diff)
	}
	if sessions, tokenRows := k.rows(t); sessions != 22 || tokenRows != 22 {
		t.Fatalf("a dry run left %d sessions and %d tokens", sessions, tokenRows)
	}

	cfg.DryRun, cfg.BatchSize, cfg.Pause = false, 3, time.Millisecond
	var progress []int64
	cfg.Progress = func(s cleanup.Summary) { progress = append(progress, s.Sessions()) }
	got, err := cleanup.Run(t.Context(), k.store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got.Duration <= 0 {
		t.Error("no duration")
	}
	got.Duration = 0
	want.Batches = 3 + 2 + 1 + 1
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int64{3, 6, 7, 10, 12, 12, 12}, progress); diff != "" {
		t.Error(diff)
	}
	if sessions, tokenRows := k.rows(t); sessions != 10 || tokenRows != 10 {
		t.Errorf("%d sessions and %d tokens are left", sessions, tokenRows)
	}

	got, err = cleanup.Run(t.Context(), k.store, cleanup.Config{SessionMaxAge: 19 * day})
	if err != nil || got.Aged != 4+2 { // the four live ones, and the two that expired 12 days ago
		t.Errorf("%+v, %v", got, err)
	}
	if sessions, _ := k.rows(t); sessions != 4 {
		t.Errorf("%d sessions are left", sessions)
	}
}

// Interrupted at any point it loses nothing, and goes on next time.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.create(t, 6, 60*day)
	ctx, cancel := context.WithCancel(t.Context())
	cfg := cleanup.Config{BatchSize: 2, Progress: func(cleanup.Summary) { cancel() }}
	got, err := cleanup.Run(ctx, k.store, cfg)
	if !errors.Is(err, context.Canceled) || got.Expired != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	cfg.Progress = nil
	if got, err := cleanup.Run(t.Context(), k.store, cfg); err != nil || got.Expired != 4 {
		t.Errorf("the next run: %+v, %v", got, err)
	}
}

// What somebody else has locked is passed over, not waited for.
func TestLockedRowsAreSkipped(t *testing.T) {
	t.Parallel()
	k := setup(t)
	ids := k.create(t, 3, 60*day)
	tx, err := k.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), `SELECT 1 FROM "sessionStoreToken" WHERE "session" = $1 FOR UPDATE`, ids[1]); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if got, err := cleanup.Run(ctx, k.store, cleanup.Config{}); err != nil || got.Expired != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

// One runner at a time: the others give way.
func TestOneRunner(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.create(t, 3, 60*day)
	// A batch waits in its middle for a lock that the test holds.
	k.exec(t, `CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN OLD; END $$`)
	k.exec(t, `CREATE TRIGGER wait BEFORE DELETE ON "sessionStore" FOR EACH ROW EXECUTE FUNCTION wait()`)
	gate, err := k.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = gate.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := gate.Exec(t.Context(), `SELECT pg_advisory_xact_lock(42)`); err != nil {
		t.Fatal(err)
	}

	var first cleanup.Summary
	var firstErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		first, firstErr = cleanup.Run(t.Context(), k.store, cleanup.Config{})
	}()
	const waits = `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory')`
	for waiting := false; !waiting; time.Sleep(5 * time.Millisecond) {
		if err := k.pool.QueryRow(t.Context(), waits).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := cleanup.Run(t.Context(), k.store, cleanup.Config{}); !errors.Is(err, sessionstore.ErrCleanupRunning) || got.Sessions() != 0 {
		t.Errorf("beside another runner: %+v, %v", got, err)
	}
	if err := gate.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
	if firstErr != nil || first.Expired != 3 {
		t.Errorf("the first runner: %+v, %v", first, firstErr)
	}
	if _, err := cleanup.Run(t.Context(), k.store, cleanup.Config{}); err != nil {
		t.Errorf("after the other one: %v", err)
	}
}

// Each query finds its rows through an index, however large the table.
func TestPlansUseTheIndexes(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.exec(t, `INSERT INTO "sessionStore" ("id", "checksum", "data", "subject", "revokedAt")
		SELECT gen_random_uuid(), '', '{}', 's' || i, CASE WHEN i % 1000 = 0 THEN now() - interval '15 days' END FROM generate_series(1, 20000) i`)
	k.exec(t, `INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn")
		SELECT "id", now(), now(), current_date + 10 - (random() < 0.001)::int * 100 FROM "sessionStore"`)
	k.exec(t, `ANALYZE`)
	for index, where := range map[string]string{
		"sessionStoreTokenExpiresOnIdx": `SELECT 1 FROM "sessionStoreToken" WHERE "expiresOn" < current_date - 14`,
		"sessionStoreRevokedAtIdx":      `SELECT 1 FROM "sessionStore" WHERE "revokedAt" < now() - interval '14 days'`,
		"sessionStore_pkey":             `SELECT 1 FROM "sessionStore" WHERE "id" < '00100000-0000-0000-0000-000000000000'`,
		"sessionStoreSubjectIdx":        `SELECT 1 FROM "sessionStore" WHERE "subject" = 's77' AND "revokedAt" IS NULL ORDER BY "id" DESC LIMIT 10`,
	} {
		rows, err := k.pool.Query(t.Context(), `EXPLAIN `+where)
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&plan, line)
		}
		if !strings.Contains(plan.String(), index) {
			t.Errorf("%s is not used:\n%s", index, plan.String())
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for says, cfg := range map[string]cleanup.Config{
		"retention is 1m0s":          {Retention: time.Minute},
		"retention is -1h0m0s":       {Retention: -time.Hour},
		"maximum age is 1s":          {SessionMaxAge: time.Second},
		"batch size is 10001":        {BatchSize: 10001},
		"batch size is -1":           {BatchSize: -1},
		"pause is -1ns, it must not": {Pause: -1},
	} {
		if _, err := cleanup.Run(t.Context(), nil, cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
