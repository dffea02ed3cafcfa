package verifier_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// forgettable are transactions whose ids another primary, or this one after a
// crash, reuses: nothing makes the server write them to disk.
func (s *service) forgettable(t *testing.T, n int) {
	t.Helper()
	for range n {
		tx, err := s.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), `SELECT pg_current_xact_id()`); err != nil {
			t.Fatal(err)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *service) nextXid(t *testing.T) (xid int) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), `SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint`).Scan(&xid); err != nil {
		t.Fatal(err)
	}
	return xid
}

// catchUp makes transactions until an id was given out that is not below a known one.
func (s *service) catchUp(t *testing.T, known int) {
	t.Helper()
	before := s.nextXid(t)
	if before > known {
		t.Fatalf("nothing was forgotten: %d, %d", before, known)
	}
	s.forgettable(t, known-before+10)
}

// forgetByCrash crashes the server until it has forgotten transactions that the verifier knows, and returns what was the
// next id before. On a busy machine the server finds the time to write them to disk. The verifier is cut off then.
func (s *service) forgetByCrash(t *testing.T, v *verifier.Verifier, p *proxy, server *testdb.Server, live string) (known int) {
	t.Helper()
	for began := time.Now(); time.Since(began) < patience; {
		await(t, "before the crash", v, live, nil)
		s.forgettable(t, 200)
		known = s.nextXid(t)
		awaitProof(t, v)
		p.setDown(true)
		server.Kill()
		server.Start()
		s.pool.Reset()
		if s.nextXid(t) < known {
			return known
		}
		p.setDown(false)
	}
	t.Fatal("nothing is forgotten")
	return 0
}

// The server crashes and forgets transactions, whose ids are reused, for
// revocations. A follower that took the ids for known would never learn of
// these.
func TestCrashThatForgetsTransactions(t *testing.T) {
	t.Parallel()
	server := testdb.NewServer(t)
	s := serviceOn(t, server.URL(), newRing(t))
	s.exec(t, `ALTER SYSTEM SET wal_writer_delay = '10s'`) // the usual 200 ms are little for a test
	s.exec(t, `SELECT pg_reload_conf()`)
	p, through := newDatabaseProxy(t, s.url)
	v := replicaOf(t, s, through)
	session, token := s.session(t)
	await(t, "a new session", v, token, nil)
	w := watchTokens(t, v, token)
	known := s.forgetByCrash(t, v, p, server, token)
	revoked := s.revoke(t, session)
	s.catchUp(t, known)
	p.setDown(false)
	await(t, "revoked", v, token, verifier.ErrRevoked)
	w.wantWithin(t, map[string]time.Time{token: revoked})
}

// Many sessions end at once: so many that 25 statements are needed.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s := newService(t)
	const n, shown = 5_000, 40
	s.exec(t, `WITH s AS (
		INSERT INTO "sessionStore" ("id", "checksum", "data", "subject")
		SELECT gen_random_uuid(), '', '{}', 'everyone' FROM generate_series(1, $1) RETURNING "id")
		INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
		SELECT gen_random_uuid(), "id", now(), now() + interval '1 day', now()::date + 1, now() + interval '5 minutes' FROM s`, n)
	signer, err := tokens.NewSigner(s.ring, tokenConfig())
	if err != nil {
		t.Fatal(err)
	}
	rows, err := s.pool.Query(t.Context(), `SELECT "id" FROM "sessionStore" ORDER BY random() LIMIT $1`, shown)
	if err != nil {
		t.Fatal(err)
	}
	var presented []string
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		token, err := signer.Sign(tokens.Claims{
			Type: tokens.AccessToken, Subject: "everyone", SessionID: id, TokenID: id,
			IssuedAt: time.Now(), ExpiresAt: time.Now().Add(5 * time.Minute),
		})
		if err != nil {
			t.Fatal(err)
		}
		presented = append(presented, string(token))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}

	v := replicaOf(t, s, s.url)
	for i, token := range presented {
		await(t, fmt.Sprintf("session %d", i), v, token, nil)
	}
	w := watchTokens(t, v, presented...)
	ended, err := s.InvalidateSubject(t.Context(), "everyone", uuid.Nil)
	if err != nil || ended != n {
		t.Fatalf("%d, %v", ended, err)
	}
	revoked, now := map[string]time.Time{}, time.Now()
	for i, token := range presented {
		revoked[token] = now
		await(t, fmt.Sprintf("session %d is revoked", i), v, token, verifier.ErrRevoked)
	}
	for deadline := time.Now().Add(patience); v.Len() != n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d revoked sessions are known, want %d", v.Len(), n)
		}
	}
	w.wantWithin(t, revoked)
}
