package verifier_test

import (
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/verifier"
)

// Each test here revokes sessions while something is wrong, and measures for how
// long their tokens are still accepted.

// Nothing is wrong.
func TestRevocationIsNoticed(t *testing.T) {
	t.Parallel()
	s := newService(t)
	v := replicaOf(t, s, s.url)
	var presented []string
	revoked := map[string]time.Time{}
	for range 20 {
		session, token := s.session(t)
		await(t, "a new session", v, token, nil)
		presented = append(presented, token)
		w := watchTokens(t, v, token)
		time.Sleep(2 * time.Millisecond)
		revoked[token] = s.revoke(t, session)
		await(t, "a revoked session", v, token, verifier.ErrRevoked)
		w.wantWithin(t, map[string]time.Time{token: revoked[token]})
	}
	for _, token := range presented {
		await(t, "it stays revoked", v, token, verifier.ErrRevoked)
	}
}

// Sessions are revoked all the time while the set is loaded, slowly, at the start
// and again in the middle.
func TestRevocationDuringALoad(t *testing.T) {
	t.Parallel()
	s := newService(t)
	// So many that the load takes its time.
	s.exec(t, `INSERT INTO "sessionStore" ("id", "checksum", "data", "revokedAt") SELECT gen_random_uuid(), '', '{}', now() FROM generate_series(1, 20000)`)
	p, url := newDatabaseProxy(t, s.url)
	p.setPace(200 * time.Millisecond) // longer than the first half of the revocations can take
	const n = 60
	var presented []string
	sessions := map[string]func() time.Time{}
	for range n {
		session, token := s.session(t)
		presented = append(presented, token)
		sessions[token] = func() time.Time { return s.revoke(t, session) }
	}
	v := replicaOf(t, s, url)
	w := watchTokens(t, v, presented...)
	revoked := map[string]time.Time{}
	for i, token := range presented {
		if i == n/2 {
			if v.Len() > 0 {
				t.Error("the load was over too soon")
			}
			p.setPace(10 * time.Millisecond)
			await(t, "the load", v, presented[n-1], nil)
			s.exec(t, `DELETE FROM "sessionStoreEpoch"`) // as a crash does
		}
		revoked[token] = sessions[token]()
		time.Sleep(5 * time.Millisecond)
	}
	for _, token := range presented {
		await(t, "revoked", v, token, verifier.ErrRevoked)
	}
	w.wantWithin(t, revoked)
}

// Connections die silently: first the one for notifications, then all that there are.
func TestHalfOpenConnections(t *testing.T) {
	t.Parallel()
	s := newService(t)
	p, url := newDatabaseProxy(t, s.url)
	v := replicaOf(t, s, url)
	for name, onlyListening := range map[string]bool{"the one for notifications": true, "all": false} {
		session, token := s.session(t)
		_, live := s.session(t)
		await(t, "a new session", v, token, nil)
		w := watchTokens(t, v, token, live)
		for p.freezeAll(onlyListening) == 0 {
			time.Sleep(time.Millisecond) // it is not there yet
		}
		revoked := s.revoke(t, session)
		await(t, name, v, token, verifier.ErrRevoked)
		await(t, name+", another session", v, live, nil)
		w.wantWithin(t, map[string]time.Time{token: revoked})
	}
}

// The database is unreachable for longer than the bound: no token is accepted,
// and none is refused because of it, and afterwards everything is as before.
func TestDatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	s := newService(t)
	p, url := newDatabaseProxy(t, s.url)
	v := replicaOf(t, s, url)
	session, token := s.session(t)
	_, live := s.session(t)
	await(t, "a new session", v, token, nil)
	w := watchTokens(t, v, token, live)
	p.setDown(true)
	p.freezeAll(false)
	revoked := s.revoke(t, session)
	await(t, "past the bound", v, live, verifier.ErrUnavailable)
	time.Sleep(100 * time.Millisecond)
	p.setDown(false)
	await(t, "revoked", v, token, verifier.ErrRevoked)
	await(t, "live", v, live, nil)
	w.wantWithin(t, map[string]time.Time{token: revoked})
}

// A transaction commits long after its revokedAt, when many later ones are known.
func TestTransactionThatTakesLong(t *testing.T) {
	t.Parallel()
	s := newService(t)
	v := replicaOf(t, s, s.url)
	session, token := s.session(t)
	await(t, "a new session", v, token, nil)
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `UPDATE "sessionStore" SET "revokedAt" = now(), "revokedXid" = pg_current_xact_id() WHERE "id" = $1`, session); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(3 * bound / 2); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		other, otherToken := s.session(t)
		s.revoke(t, other)
		await(t, "a later one", v, otherToken, verifier.ErrRevoked)
	}
	w := watchTokens(t, v, token)
	await(t, "not committed", v, token, nil)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	revoked := time.Now()
	await(t, "committed", v, token, verifier.ErrRevoked)
	w.wantWithin(t, map[string]time.Time{token: revoked})
}

// An operator revokes with plain SQL, without knowing the schema's details.
func TestRevocationByHand(t *testing.T) {
	t.Parallel()
	s := newService(t)
	v := replicaOf(t, s, s.url)
	session, token := s.session(t)
	await(t, "a new session", v, token, nil)
	w := watchTokens(t, v, token)
	s.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`, session)
	revoked := time.Now()
	await(t, "revoked", v, token, verifier.ErrRevoked)
	w.wantWithin(t, map[string]time.Time{token: revoked})
}

// A slow answer proves what was true when the request was sent, not when the answer
// arrived. The network is cut at the worst moment: when the last answer without the
// revocation has arrived.
func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	for name, connect := range map[string]func(*testing.T, *service) (*proxy, *verifier.Verifier){
		"of the database": func(t *testing.T, s *service) (*proxy, *verifier.Verifier) {
			t.Helper()
			p, url := newDatabaseProxy(t, s.url)
			return p, replicaOf(t, s, url)
		},
		"of the service": func(t *testing.T, s *service) (*proxy, *verifier.Verifier) {
			t.Helper()
			r := serve(t, s)
			p, internal := r.proxied(t)
			return p, r.remoteOf(t, internal)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			p, v := connect(t, s)
			session, token := s.session(t)
			await(t, "a new session", v, token, nil)
			const lag = 300 * time.Millisecond
			p.setLag(lag)
			time.Sleep(4 * lag)
			await(t, "slow", v, token, nil)
			time.Sleep(lag / 2) // an answer is on its way
			w := watchTokens(t, v, token)
			revoked := s.revoke(t, session)
			time.Sleep(time.Until(revoked.Add(lag - 10*time.Millisecond)))
			p.setDown(true)
			p.freezeAll(false)
			// Unless the machine is slow and the cut came too late, the state is unknown.
			for err := error(nil); err == nil; time.Sleep(time.Millisecond) {
				_, err = v.Verify(t.Context(), token)
			}
			w.wantWithin(t, map[string]time.Time{token: revoked})
		})
	}
}
