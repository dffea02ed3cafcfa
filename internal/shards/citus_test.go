package shards_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/sessiontest"
	"github.com/latchkey-sessions/latchkey/verifier"
)

func needCitus(t *testing.T) {
	t.Helper()
	if !testdb.HasCitus() {
		t.Skip("TEST_CITUS_URL names no Citus cluster")
	}
}

// A router is a store like any other on distributed schemas of Citus too. To make one takes seconds,
// so parts of the suite take turns with a few, each emptied in between.
func TestSuiteOnCitus(t *testing.T) {
	t.Parallel()
	needCitus(t)
	const grace, routers = 2 * time.Second, 6
	cfg := config()
	cfg.Grace = grace
	ring, free := testkeys.Ring(t), make(chan *kit, routers)
	for range routers {
		free <- setup(t, ring, cfg, testdb.Citus(t, 1)...)
	}
	t.Run("all", func(t *testing.T) {
		sessiontest.Run(t, func(t *testing.T) sessiontest.Harness {
			t.Helper()
			k := <-free
			t.Cleanup(func() {
				for _, pool := range k.pools {
					if _, err := pool.Exec(context.WithoutCancel(t.Context()), `DELETE FROM "sessionStore"`); err != nil {
						t.Error(err)
					}
				}
				free <- k
			})
			return sessiontest.Harness{Store: k, Grace: grace, KeysOfSubject: true}
		})
	})
}

// Not covered by the suite: statements that many share, what operators ask for, and cleanup.
func TestOperationsOnCitus(t *testing.T) {
	t.Parallel()
	needCitus(t)
	k := setup(t, testkeys.Ring(t), config(), testdb.Citus(t, 1)...)
	store, pool := k.stores[0], k.pools[0]
	const many = 60
	pairs := make([]sessionstore.TokenPair, many)
	sessions := make([]sessionstore.Session, many)
	each := func(what string, do func(i int) error) {
		t.Helper()
		var all sync.WaitGroup
		for i := range many {
			all.Go(func() {
				if err := do(i); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
		all.Wait()
	}
	each("Create", func(i int) (err error) {
		sessions[i], pairs[i], err = store.Create(t.Context(), sessionstore.CreateParams{Subject: fmt.Sprintf("user-%d", i)})
		return err
	})
	each("Get", func(i int) error { _, _, err := store.Get(t.Context(), string(pairs[i].AccessToken)); return err })
	each("RefreshTokens", func(i int) error {
		refreshed, err := store.RefreshTokens(t.Context(), string(pairs[i].RefreshToken), sessionstore.Client{UserAgent: "test", IP: "192.0.2.1"})
		pairs[i] = refreshed.Pair
		return err
	})
	each("Load", func(i int) error { _, err := store.Load(t.Context(), sessions[i].ID); return err })
	each("Update", func(i int) error {
		_, err := store.Update(t.Context(), sessions[i].ID, sessions[i].Checksum, fmt.Appendf(nil, `{"n":%d}`, i))
		return err
	})
	each("Load, again", func(i int) error {
		got, err := store.Load(t.Context(), sessions[i].ID)
		if want := fmt.Sprintf(`{"n": %d}`, i); err == nil && string(got.Data) != want {
			return fmt.Errorf("the data is %s, want %s", got.Data, want)
		}
		return err
	})
	const ended = many / 2
	each("Invalidate", func(i int) error {
		if i >= ended {
			return nil
		}
		return store.Invalidate(t.Context(), sessions[i].ID)
	})
	each("RefreshTokens, of those that ended", func(i int) error {
		_, err := store.RefreshTokens(t.Context(), string(pairs[i].RefreshToken), sessionstore.Client{})
		if isEnded := i < ended; isEnded && !errors.Is(err, sessionstore.ErrEnded) || !isEnded && err != nil {
			return fmt.Errorf("session %d: %w", i, err)
		}
		return nil
	})
	for name, params := range map[string]sessionstore.FindParams{"live": {}, "ended": {Ended: true}, "ended of a subject": {Ended: true, Subject: "user-1"}, "of a subject": {Subject: "user-59"}} {
		if page, err := store.Find(t.Context(), params); err != nil || len(page.Sessions) == 0 {
			t.Errorf("Find, %s: %d, %v", name, len(page.Sessions), err)
		}
	}
	if _, err := store.History(t.Context(), sessions[0].ID); err != nil {
		t.Errorf("History: %v", err)
	}
	if subjects, err := store.Subjects(t.Context(), "user-1"); err != nil || len(subjects) == 0 {
		t.Errorf("Subjects: %v, %v", subjects, err)
	}
	if n, _, err := store.CountLive(t.Context()); err != nil || n != many-ended {
		t.Errorf("CountLive: %d, %v", n, err)
	}
	if _, _, err := store.Activity(t.Context(), time.Now()); err != nil {
		t.Errorf("Activity: %v", err)
	}
	if _, err := store.Thefts(t.Context(), sessionstore.ListParams{}); err != nil {
		t.Errorf("Thefts: %v", err)
	}
	if _, err := store.EstimateLive(t.Context()); err != nil {
		t.Errorf("EstimateLive: %v", err)
	}

	// By age first: what that ends is not removed before it is old.
	exec(t, pool, `UPDATE "sessionStore" SET "createdAt" = now() - interval '100 days' WHERE "subject" = 'user-59'`)
	exec(t, pool, `UPDATE "sessionStore" SET "revokedAt" = now() - interval '30 days' WHERE "revokedAt" IS NOT NULL`)
	exec(t, pool, `UPDATE "sessionStoreToken" SET "expiresAt" = now() - interval '300 days', "expiresOn" = CURRENT_DATE - 300 WHERE "session" IN (SELECT "id" FROM "sessionStore" WHERE "subject" = 'user-58')`)
	summary, err := cleanup.Run(t.Context(), store, cleanup.Config{SessionMaxAge: 50 * 24 * time.Hour})
	if err != nil || summary.Revoked != ended || summary.Aged != 1 || summary.Expired != 1 {
		t.Errorf("cleanup: %+v, %v", summary, err)
	}
	if err := store.SignOutAll(t.Context()); err != nil {
		t.Error(err)
	}
	if n, err := store.RevokeSignedOut(t.Context(), nil); err != nil || n != many-ended-2 {
		t.Errorf("RevokeSignedOut: %d, %v", n, err)
	}
}

// A schema that is moved to another node while it is followed takes its revocations along, and those
// that come after are noticed.
func TestASchemaThatIsMoved(t *testing.T) {
	t.Parallel()
	needCitus(t)
	k := setup(t, testkeys.Ring(t), config(), testdb.Citus(t, 1)...)
	store, pool := k.stores[0], k.pools[0]
	accept, err := store.Verifier(verifier.Config{Bound: bound, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	run(t, accept.Run)
	before, ofBefore := create(t, store, "ada")
	after, ofAfter := create(t, store, "ada")
	verify := func(pair sessionstore.TokenPair) error {
		_, err := accept.Verify(t.Context(), string(pair.AccessToken))
		return err
	}
	await(t, "the verifier follows", func() bool { age, known := accept.ShardAge(0); return known && age < bound })
	if err := store.Invalidate(t.Context(), before.ID); err != nil {
		t.Fatal(err)
	}
	await(t, "the revocation is known", func() bool { return errors.Is(verify(ofBefore), verifier.ErrRevoked) })

	move(t, pool)
	if err := verify(ofBefore); !errors.Is(err, verifier.ErrRevoked) {
		t.Errorf("a session that was revoked before the move: %v", err)
	}
	if err := store.Invalidate(t.Context(), after.ID); err != nil {
		t.Fatal(err)
	}
	await(t, "a revocation after the move is known", func() bool { return errors.Is(verify(ofAfter), verifier.ErrRevoked) })
	if err := verify(ofBefore); !errors.Is(err, verifier.ErrRevoked) {
		t.Errorf("a session that was revoked before the move, later: %v", err)
	}
}

// Followers ask by numbers of transactions, so whatever ends a session, or supersedes its access tokens, must note that
// of the node that has the row. Citus evaluates some of what a statement says on the coordinator.
func TestEveryEndIsOfTheRowsTransactionOnCitus(t *testing.T) {
	t.Parallel()
	needCitus(t)
	cfg := config()
	cfg.Grace, cfg.SessionsPerSubject = time.Nanosecond, 2
	k := setup(t, testkeys.Ring(t), cfg, testdb.Citus(t, 1)...)
	store, pool := k.stores[0], k.pools[0]
	sessions := make([]sessionstore.Session, 40)
	pairs := make([]sessionstore.TokenPair, len(sessions))
	for i := range sessions {
		sessions[i], pairs[i] = create(t, store, fmt.Sprintf("user-%d", i))
	}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	must("Invalidate", store.Invalidate(t.Context(), sessions[0].ID))
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() { must("Invalidate, together", store.Invalidate(t.Context(), sessions[1+i].ID)) })
	}
	all.Wait()
	_, err := store.InvalidateSubject(t.Context(), "user-21", uuid.Nil)
	must("InvalidateSubject", err)
	_, _, err = store.Replace(t.Context(), sessionstore.Replaced{Token: string(pairs[22].AccessToken)}, sessionstore.CreateParams{Subject: "user-22"})
	must("Replace", err)
	for range 3 { // two too many
		create(t, store, "user-23")
	}
	// So many that have expired that they are not looked at again.
	exec(t, pool, `INSERT INTO "sessionStore" ("id", "checksum", "data", "subject") SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, '', '{}', 'user-24' FROM generate_series(1, 300) n`)
	exec(t, pool, `INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "accessExpiresAt") SELECT "id", "createdAt", now() - interval '1 h', now() - interval '1 h' FROM "sessionStore" WHERE "checksum" = ''`)
	create(t, store, "user-24")
	pair := pairs[25]
	for range 2 {
		refreshed, err := store.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
		must("RefreshTokens", err)
		pair = refreshed.Pair
		exec(t, pool, `UPDATE "sessionStoreToken" SET "issuedAt" = now() - interval '1 h', "settledAt" = now() - interval '1 h' WHERE "session" = $1`, sessions[25].ID)
	}
	var beforeTheft int64 // the next transaction of the node
	if err := pool.QueryRow(t.Context(), `SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint FROM "sessionStore" LIMIT 1`).Scan(&beforeTheft); err != nil {
		t.Fatal(err)
	}
	if _, err := store.RefreshTokens(t.Context(), string(pairs[25].RefreshToken), sessionstore.Client{}); err == nil {
		t.Error("a stolen token was accepted")
	}
	exec(t, pool, `UPDATE "sessionStore" SET "createdAt" = now() - interval '100 days' WHERE "id" = $1`, sessions[26].ID)
	_, err = cleanup.Run(t.Context(), store, cleanup.Config{SessionMaxAge: 50 * 24 * time.Hour})
	must("cleanup", err)
	_, checksum, err := store.LoadClaims(t.Context(), sessions[27].ID)
	must("LoadClaims", err)
	_, err = store.SetClaims(t.Context(), sessions[27].ID, checksum, []byte(`{"role":"admin"}`), sessionstore.SetClaimsOptions{Supersede: true})
	must("SetClaims", err)
	_, err = store.RefreshTokens(t.Context(), string(pairs[28].RefreshToken), sessionstore.Client{})
	must("RefreshTokens", err)
	_, err = store.Patch(t.Context(), sessions[28].ID, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{Session: time.Hour}})
	must("Patch", err)
	seen := map[string]int{}
	check := func(query string, args ...any) {
		t.Helper()
		rows, _ := pool.Query(t.Context(), query, args...) // rows have its error
		var what string
		var wrong, count int
		if _, err := pgx.ForEachRow(rows, []any{&what, &wrong, &count}, func() error {
			seen[what] += count
			if wrong > 0 {
				t.Errorf("%s: %d of %d have the number of another transaction than the row", what, wrong, count)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	check(`SELECT 'superseded', count(*) FILTER (WHERE "supersededXid"::xid IS DISTINCT FROM xmin), count(*) FROM "sessionStoreToken" WHERE "supersededAt" IS NOT NULL`)
	_, err = store.InvalidateAll(t.Context(), nil, sessionstore.Cause{Reason: sessionstore.ReasonAllSignedOut})
	must("InvalidateAll", err)
	// The report of a theft is written in a subtransaction, whose number is a later one. Other transactions may have numbers
	// in between.
	check(`SELECT "endReason", count(*) FILTER (WHERE CASE "endReason" WHEN 'theft' THEN NOT COALESCE("revokedXid"::text::bigint BETWEEN $1 AND xmin::text::bigint - 1, false)
		ELSE "revokedXid"::text::bigint IS DISTINCT FROM xmin::text::bigint END), count(*) FROM "sessionStore" WHERE "revokedAt" IS NOT NULL GROUP BY 1`, beforeTheft)
	for what, least := range map[string]int{
		"superseded": 2, string(sessionstore.ReasonReplaced): 1, string(sessionstore.ReasonLimit): 2, string(sessionstore.ReasonIdle): 1,
		string(sessionstore.ReasonTheft): 1, string(sessionstore.ReasonMaxAge): 1, string(sessionstore.ReasonAllSignedOut): 5,
	} {
		if seen[what] < least {
			t.Errorf("%s: %d, want at least %d of %v", what, seen[what], least, seen)
		}
	}
}

// A creation, after a look at the era, goes to the node of the schema alone, and needs no other: nothing is copied, and nobody
// prepares a commit.
func TestACreationIsOfOneNodeOnCitus(t *testing.T) {
	t.Parallel()
	needCitus(t)
	var mu sync.Mutex
	var sent []string
	cfg := testdb.Citus(t, 1)[0].Config()
	cfg.ConnConfig.RuntimeParams["citus.log_remote_commands"] = "on"
	cfg.ConnConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		mu.Lock()
		defer mu.Unlock()
		sent = append(sent, n.Message)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	store := setup(t, testkeys.Ring(t), config(), pool).stores[0]
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	sent = nil
	mu.Unlock()
	create(t, store, "ada")
	mu.Lock()
	defer mu.Unlock()
	var verbs []string
	for _, command := range sent {
		verbs = append(verbs, strings.Fields(strings.TrimPrefix(command, "issuing "))[0])
	}
	if diff := cmp.Diff([]string{"SELECT", "BEGIN", "INSERT", "INSERT", "COMMIT"}, verbs); diff != "" {
		t.Errorf("Citus sent (-want +got):\n%s\n%s", diff, strings.Join(sent, "\n"))
	}
}

// Where there are no triggers, an end that verifiers would miss is refused, and so is the end of an end.
func TestNobodyEndsSessionsByHandOnCitus(t *testing.T) {
	t.Parallel()
	needCitus(t)
	k := setup(t, testkeys.Ring(t), config(), testdb.Citus(t, 1)...)
	store, pool := k.stores[0], k.pools[0]
	live, pair := create(t, store, "ada")
	ended, _ := create(t, store, "ada")
	if err := store.Invalidate(t.Context(), ended.ID); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		id  uuid.UUID
		sql string
	}{
		"a manual end":                {live.ID, `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`},
		"an end that is taken back":   {ended.ID, `UPDATE "sessionStore" SET "revokedAt" = NULL WHERE "id" = $1`},
		"a session that begins ended": {live.ID, `INSERT INTO "sessionStore" ("id", "checksum", "data", "revokedAt") VALUES (gen_random_uuid(), $1::uuid::text, '{}', now())`},
	} {
		if _, err := pool.Exec(t.Context(), c.sql, c.id); err == nil || !strings.Contains(err.Error(), "sessionStoreEndWithLatchkeyCheck") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, _, err := store.Get(t.Context(), string(pair.AccessToken)); err != nil {
		t.Errorf("the live session: %v", err)
	}
}

// move moves the pool's schema to another node that may have shards.
func move(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	const target = `
SELECT current_schema(), "nodename", "nodeport" FROM pg_dist_node
WHERE "shouldhaveshards" AND ("nodename", "nodeport") NOT IN (SELECT "nodename", "nodeport" FROM citus_shards WHERE "table_name" = '"sessionStore"'::regclass) LIMIT 1`
	var schema, node string
	var port int
	if err := pool.QueryRow(t.Context(), target).Scan(&schema, &node, &port); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `SELECT citus_schema_move($1::text::regnamespace, $2, $3, 'block_writes')`, schema, node, port); err != nil {
		t.Fatal(err)
	}
}

// On Citus, as elsewhere, a sign-out of a subject and a replacement wait for each other: both take
// the subject's lock on the node that has the rows.
func TestLocksOfSubjectsOnCitus(t *testing.T) {
	t.Parallel()
	needCitus(t)
	k := setup(t, testkeys.Ring(t), config(), testdb.Citus(t, 1)...)
	store, pool := k.stores[0], k.pools[0]
	session, _ := create(t, store, "ada")
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	const lock = `SELECT pg_advisory_xact_lock_shared(hashtextextended("subject", "sessionStoreLock"(4913067152811520273))) FROM "sessionStore" WHERE "id" = $1`
	if _, err := tx.Exec(t.Context(), lock, session.ID); err != nil { // as a replacement does
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if n, err := store.InvalidateSubject(ctx, "ada", uuid.Nil); err == nil {
		t.Errorf("a sign-out did not wait for a replacement, and ended %d sessions", n)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := store.InvalidateSubject(t.Context(), "ada", uuid.Nil); err != nil || n != 1 {
		t.Errorf("%d sessions ended, %v", n, err)
	}
}
