package verifier_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// countEnds counts how often a session ends.
const countEnds = `
CREATE TABLE "ends" ("session" uuid);
CREATE FUNCTION "countEnd"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO "ends" VALUES (NEW."id"); RETURN NULL; END';
CREATE TRIGGER "countEnd" AFTER UPDATE OF "revokedAt" ON "sessionStore" FOR EACH ROW
  WHEN (OLD."revokedAt" IS NULL AND NEW."revokedAt" IS NOT NULL) EXECUTE FUNCTION "countEnd"()`

// The primary dies, and a standby that lags takes over. Revocations that it has not received are repeated by the
// replicas that have them, and the ids of their transactions are reused. A standby is never queried: it may lag.
func TestFailover(t *testing.T) {
	t.Parallel()
	servers := testdb.NewReplicated(t)
	s := serviceOn(t, servers.Primary.URL(), newRing(t))
	s.exec(t, countEnds)
	var proxies []*proxy
	var replicas []*verifier.Verifier
	for range 2 {
		p, through := newDatabaseProxy(t, servers.Primary.URL())
		proxies, replicas = append(proxies, p), append(replicas, replicaOf(t, s, through))
	}
	before, beforeToken := s.session(t)
	lost, lostToken := s.session(t)
	used, usedPair, err := s.Create(t.Context(), sessionstore.CreateParams{Subject: "ann", Data: []byte(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	after, afterToken := s.session(t)
	live, liveToken := s.session(t)
	revoked := map[string]time.Time{beforeToken: s.revoke(t, before)}
	servers.CatchUp()
	servers.Freeze()
	cause := sessionstore.Cause{Reason: sessionstore.ReasonOperator, By: "ann@example"}
	for _, id := range []uuid.UUID{lost, used.ID} {
		if err := s.Invalidate(t.Context(), id, cause); err != nil {
			t.Fatal(err)
		}
	}
	want := s.ending(t, lost)
	s.forgettable(t, 100)
	known := s.nextXid(t)
	for _, v := range replicas {
		await(t, "revoked before", v, beforeToken, verifier.ErrRevoked)
		await(t, "revoked in the lag", v, lostToken, verifier.ErrRevoked)
		await(t, "revoked in the lag", v, string(usedPair.AccessToken), verifier.ErrRevoked)
		awaitProof(t, v)
	}

	var watches []*watch
	for _, v := range replicas {
		watches = append(watches, watchTokens(t, v, beforeToken, lostToken, string(usedPair.AccessToken), afterToken, liveToken))
	}
	u, err := url.Parse(servers.Standby.URL())
	if err != nil {
		t.Fatal(err)
	}
	servers.Primary.Kill()
	for _, p := range proxies {
		p.point(u.Host)
	}
	for i, v := range replicas {
		await(t, "only a standby is there", v, liveToken, verifier.ErrUnavailable)
		await(t, "only a standby is there, and it is revoked", v, beforeToken, verifier.ErrRevoked)
		proxies[i].setDown(true)
		proxies[i].cut()
	}
	servers.Promote()
	s = serviceOn(t, servers.Standby.URL(), s.ring)
	for _, id := range []uuid.UUID{lost, used.ID} {
		if e := s.ending(t, id); !e.At.IsZero() {
			t.Fatalf("the standby knows the end: %+v", e)
		}
	}
	if _, err := s.RefreshTokens(t.Context(), string(usedPair.RefreshToken), sessionstore.Client{}); err != nil {
		t.Fatal(err)
	}
	refreshed := s.now(t)
	created, createdToken := s.session(t)
	revoked[afterToken] = s.revoke(t, after)
	s.catchUp(t, known)
	for _, p := range proxies {
		p.setDown(false)
	}
	for _, v := range replicas {
		await(t, "revoked after", v, afterToken, verifier.ErrRevoked)
		await(t, "live", v, liveToken, nil)
		await(t, "created after", v, createdToken, nil)
	}
	for _, id := range []uuid.UUID{lost, used.ID} {
		for began := time.Now(); s.ending(t, id).At.IsZero(); time.Sleep(pollEvery) {
			if time.Since(began) > patience {
				t.Fatal("a revocation was lost")
			}
		}
	}
	if diff := cmp.Diff(want, s.ending(t, lost)); diff != "" {
		t.Errorf("the end that was lost (-want +got): %s", diff)
	}
	// Verifiers that start later must learn of it while the token lives that was made since.
	if e := s.ending(t, used.ID); e.Cause != cause || e.At.Before(want.At) || e.At.After(refreshed) {
		t.Errorf("the end of a session that was used since: %+v, refreshed before %v", e, refreshed)
	}
	for _, id := range []uuid.UUID{live, created} {
		if e := s.ending(t, id); !e.At.IsZero() {
			t.Errorf("another session has ended: %+v", e)
		}
	}
	if _, err := s.RefreshTokens(t.Context(), string(usedPair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("a refresh after the end: %v", err)
	}
	var most int
	if err := s.pool.QueryRow(t.Context(), `SELECT max("n") FROM (SELECT count(*) AS "n" FROM "ends" GROUP BY "session") e`).Scan(&most); err != nil || most != 1 {
		t.Errorf("a session ended %d times: %v", most, err)
	}
	for _, w := range watches {
		w.wantWithin(t, revoked)
		for _, token := range []string{beforeToken, lostToken, string(usedPair.AccessToken)} {
			if at, accepted := w.accepted[token]; accepted {
				t.Errorf("a token that was known to be revoked was accepted at %v", at)
			}
		}
	}
}

// Everyone is signed out, and a failover loses it: the replicas sign them out again, as before. No token from
// before is accepted meanwhile, and those who have signed in since stay signed in.
func TestASignOutOfEverybodySurvivesAFailover(t *testing.T) {
	t.Parallel()
	servers := testdb.NewReplicated(t)
	s := serviceOn(t, servers.Primary.URL(), newRing(t))
	var proxies []*proxy
	var replicas []*verifier.Verifier
	for range 2 {
		p, through := newDatabaseProxy(t, servers.Primary.URL())
		proxies, replicas = append(proxies, p), append(replicas, replicaOf(t, s, through))
	}
	before, beforeToken := s.session(t)
	servers.CatchUp()
	servers.Freeze()
	for began := s.now(t).Unix(); s.now(t).Unix() == began; {
		time.Sleep(pollEvery) // the service is asked about tokens of the same second
	}
	cause := sessionstore.Cause{Reason: sessionstore.ReasonAllSignedOut, By: "ann@example"}
	if err := s.SignOutAll(t.Context(), cause); err != nil {
		t.Fatal(err)
	}
	want := s.ending(t, before)
	s.forgettable(t, 100)
	known := s.nextXid(t)
	for _, v := range replicas {
		await(t, "before", v, beforeToken, verifier.ErrRevoked)
		awaitProof(t, v)
	}
	var watches []*watch
	for _, v := range replicas {
		watches = append(watches, watchTokens(t, v, beforeToken))
	}
	u, err := url.Parse(servers.Standby.URL())
	if err != nil {
		t.Fatal(err)
	}
	servers.Primary.Kill()
	for _, p := range proxies {
		p.point(u.Host)
		p.setDown(true)
		p.cut()
	}
	servers.Promote()
	s = serviceOn(t, servers.Standby.URL(), s.ring)
	if e := s.ending(t, before); !e.At.IsZero() {
		t.Fatalf("the standby knows the end: %+v", e)
	}
	created, pair, err := s.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	s.catchUp(t, known)
	for _, p := range proxies {
		p.setDown(false)
	}
	for began := time.Now(); s.ending(t, before).At.IsZero(); time.Sleep(pollEvery) {
		if time.Since(began) > patience {
			t.Fatal("the sign-out was lost")
		}
	}
	if diff := cmp.Diff(want, s.ending(t, before)); diff != "" {
		t.Errorf("the end that was lost (-want +got): %s", diff)
	}
	if e := s.ending(t, created.ID); !e.At.IsZero() {
		t.Errorf("a session that was created since has ended: %+v", e)
	}
	refreshed, err := s.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range replicas {
		await(t, "created since, before the database had it again", v, string(pair.AccessToken), verifier.ErrUnavailable) // it is asked about
		await(t, "created since, and refreshed", v, string(refreshed.Pair.AccessToken), nil)
		await(t, "before", v, beforeToken, verifier.ErrRevoked)
	}
	for _, w := range watches {
		w.wantWithin(t, nil)
		if at, accepted := w.accepted[beforeToken]; accepted {
			t.Errorf("a token from before was accepted at %v", at)
		}
	}
}

// ending is how a session has ended.
func (s *service) ending(t *testing.T, session uuid.UUID) sessionstore.Ending {
	t.Helper()
	got, err := s.Load(t.Context(), session)
	if err != nil {
		t.Fatal(err)
	}
	return got.Ended
}

// now is the database's time.
func (s *service) now(t *testing.T) (now time.Time) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&now); err != nil {
		t.Fatal(err)
	}
	return now
}
