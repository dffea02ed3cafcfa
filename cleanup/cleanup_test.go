package cleanup_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
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
	return setupOn(t, testdb.Pool(t))
}

func setupOn(t *testing.T, pool *pgxpool.Pool) kit {
	t.Helper()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
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
	// The id contains the time of creation, too.
	for i, id := range ids {
		ids[i] = aged(id, age)
		k.exec(t, `INSERT INTO "sessionStore" ("id", "checksum", "data", "createdAt") VALUES ($1, '', '{}', now() - $2::interval)`, ids[i], age)
		k.exec(t, `UPDATE "sessionStoreToken" SET "session" = $2, "expiresAt" = "expiresAt" - $3::interval,
			"expiresOn" = "expiresOn" - $4::int WHERE "session" = $1`, id, ids[i], age, int(age/day))
		k.exec(t, `DELETE FROM "sessionStore" WHERE "id" = $1`, id)
	}
	return ids
}

// copy makes n more sessions like one.
func (k kit) copy(t *testing.T, id uuid.UUID, n int) {
	t.Helper()
	k.exec(t, `INSERT INTO "sessionStore" ("checksum", "data", "createdAt", "revokedAt")
		SELECT "checksum", "data", "createdAt", "revokedAt" FROM "sessionStore", generate_series(1, $2) WHERE "id" = $1`, id, n)
	k.exec(t, `INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
		SELECT s."id", t."createdAt", t."expiresAt", t."expiresOn", t."accessExpiresAt" FROM "sessionStore" s, "sessionStoreToken" t
		WHERE t."session" = $1 AND NOT EXISTS (SELECT FROM "sessionStoreToken" o WHERE o."session" = s."id")`, id)
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
	expiredOn := func(daysAgo int) time.Time {     // a session that expires on a day has done so at its end
		return time.Now().UTC().Truncate(day).Add(time.Duration(1-daysAgo) * day)
	}

	cfg.DryRun = true
	dry, err := cleanup.Run(t.Context(), k.store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	dry.Duration = 0
	// The expired ones are over the maximum age, too.
	want := cleanup.Summary{DryRun: true, Expired: 7, Revoked: 5, Aged: 7, Sessions: 12, Pairs: 12, OldestLeft: expiredOn(16)}
	if diff := cmp.Diff(want, dry); diff != "" {
		t.Error(diff)
	}
	if sessions, tokenRows := k.rows(t); sessions != 22 || tokenRows != 22 {
		t.Fatalf("a dry run left %d sessions and %d tokens", sessions, tokenRows)
	}

	cfg.DryRun = false
	var progress []int64
	cfg.Progress = func(s cleanup.Summary) { progress = append(progress, s.Sessions) }
	got, err := cleanup.Run(t.Context(), k.store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got.Duration <= 0 {
		t.Error("no duration")
	}
	got.Duration = 0
	want = cleanup.Summary{Expired: 7, Revoked: 5, Sessions: 12, Pairs: 12, Batches: 2, OldestLeft: got.OldestLeft}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int64{7, 12}, progress); diff != "" {
		t.Error(diff)
	}
	if sessions, tokenRows := k.rows(t); sessions != 10 || tokenRows != 10 {
		t.Errorf("%d sessions and %d tokens are left", sessions, tokenRows)
	}
	// One of those that are left was revoked 13 days ago, one expired 12 days ago.
	if ago := time.Since(got.OldestLeft); ago < 13*day || ago > 13*day+time.Minute {
		t.Errorf("the oldest left ended %v ago", ago)
	}

	got, err = cleanup.Run(t.Context(), k.store, cleanup.Config{SessionMaxAge: 19 * day})
	if err != nil || got.Aged != 4+2 { // the four live ones, and the two that expired 12 days ago
		t.Errorf("%+v, %v", got, err)
	}
	if sessions, _ := k.rows(t); sessions != 10 {
		t.Errorf("%d sessions are left", sessions)
	}
}

// A session ends because of its age, whatever made its id, and is removed only when the retention has passed: verifiers
// learn of its end from its row.
func TestSessionsEndByAge(t *testing.T) {
	t.Parallel()
	k := setup(t)
	young := k.create(t, 1, 0)
	old := k.create(t, 2, 0) // their ids are of today
	other := uuid.New()
	k.exec(t, `INSERT INTO "sessionStore" ("id", "checksum", "data", "createdAt") VALUES ($1, '', '{}', now())`, other)
	k.exec(t, `UPDATE "sessionStoreToken" SET "session" = $2 WHERE "session" = $1`, old[1], other)
	k.exec(t, `DELETE FROM "sessionStore" WHERE "id" = $1`, old[1])
	old[1] = other
	k.exec(t, `UPDATE "sessionStore" SET "createdAt" = now() - interval '400 days' WHERE "id" = ANY ($1)`, old)

	cfg := cleanup.Config{SessionMaxAge: 30 * day}
	for want := range int64(2) {
		got, err := cleanup.Run(t.Context(), k.store, cfg)
		if err != nil || got.Aged != 2*(1-want) || got.Sessions != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	var ended []uuid.UUID
	err := k.pool.QueryRow(t.Context(), `SELECT array_agg(s."id" ORDER BY s."createdAt", s."id" = $1) FROM "sessionStore" s JOIN "sessionStoreToken" t ON t."session" = s."id"
		WHERE s."revokedAt" = t."revokedAt" AND s."revokedXid" IS NOT NULL`, other).Scan(&ended)
	if diff := cmp.Diff(old, ended); err != nil || diff != "" {
		t.Errorf("ended: %s %v", diff, err)
	}
	k.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now() - interval '15 days' WHERE "revokedAt" IS NOT NULL`)
	if got, err := cleanup.Run(t.Context(), k.store, cfg); err != nil || got.Revoked != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := k.store.Invalidate(t.Context(), young[0]); err != nil {
		t.Errorf("the young one: %v", err)
	}
}

// Interrupted at any point it loses nothing, and continues next time.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.copy(t, k.create(t, 1, 60*day)[0], 999)
	ctx, cancel := context.WithCancel(t.Context())
	cfg := cleanup.Config{Progress: func(cleanup.Summary) { cancel() }}
	got, err := cleanup.Run(ctx, k.store, cfg)
	if !errors.Is(err, context.Canceled) || got.Expired < 1 || got.Expired > 900 || !got.OldestLeft.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	if sessions, tokenRows := k.rows(t); sessions != int(1000-got.Expired) || tokenRows != sessions {
		t.Errorf("%d sessions and %d tokens are left", sessions, tokenRows)
	}
	cfg.Progress = nil
	if next, err := cleanup.Run(t.Context(), k.store, cfg); err != nil || next.Expired != 1000-got.Expired || !next.OldestLeft.IsZero() {
		t.Errorf("the next run: %+v, %v", next, err)
	}
}

// A server that crashes in the middle of a run may have forgotten the last batches, but none of them in part. The next
// run removes what has come back.
func TestDatabaseCrashes(t *testing.T) {
	t.Parallel()
	server := testdb.NewServer(t)
	k := setupOn(t, server.Pool())
	k.copy(t, k.create(t, 1, 60*day)[0], 999)
	kill := sync.OnceFunc(server.Kill)
	got, err := cleanup.Run(t.Context(), k.store, cleanup.Config{Progress: func(cleanup.Summary) { kill() }})
	if !errors.Is(err, sessionstore.ErrUnavailable) || got.Expired < 1 || got.Expired > 900 {
		t.Errorf("%+v, %v", got, err)
	}
	server.Start()
	sessions, tokenRows := k.rows(t)
	if sessions < int(1000-got.Expired) || tokenRows != sessions {
		t.Errorf("%d sessions and %d tokens are left of 1000, %d were removed", sessions, tokenRows, got.Expired)
	}
	if next, err := cleanup.Run(t.Context(), k.store, cleanup.Config{}); err != nil || int(next.Expired) != sessions {
		t.Errorf("the next run: %+v, %v", next, err)
	}
}

// Locked rows are skipped, not waited for.
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
	if got, err := cleanup.Run(t.Context(), k.store, cleanup.Config{}); !errors.Is(err, sessionstore.ErrCleanupRunning) || got.Sessions != 0 {
		t.Errorf("alongside another runner: %+v, %v", got, err)
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

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for says, cfg := range map[string]cleanup.Config{
		"retention is 1m0s":    {Retention: time.Minute},
		"retention is -1h0m0s": {Retention: -time.Hour},
		"maximum age is 1s":    {SessionMaxAge: time.Second},
	} {
		if _, err := cleanup.Run(t.Context(), nil, cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
