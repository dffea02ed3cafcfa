package main_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// edgeBound is LATCHKEY_REVOCATION_BOUND, and that of the verifier of another service.
const edgeBound = time.Second

// A clock that was a day ahead has made tokens that live a day longer after it was
// corrected. Once they are revoked, no replica accepts them, not even one that starts
// only when their time has come.
func TestRevokedBeforeItsTime(t *testing.T) {
	t.Parallel()
	s := startSkewed(t)
	s.server.SetClock(24 * time.Hour)
	early := s.CreateSession(testKey, `{"subject":"ada","data":{}}`)
	s.server.SetClock(0)
	s.refresh("the clock was put right", early)
	s.revoke("the clock was put right", early)

	// Two minutes after that, by the clock that made it.
	s.server.SetClock(24*time.Hour + 2*time.Minute)
	late := start(t, t.TempDir(), s.env)
	late.Await("revocations", func() bool {
		_, text := late.Send(http.MethodGet, late.Internal+"/metrics", "", nil)
		return metric(t, text, "latchkey_revocations_age_seconds") < edgeBound.Seconds()
	})
	for range 3 {
		status, answer := late.Send(http.MethodGet, late.Public+"/v1/me/sessions", early.AccessToken, nil)
		if status != http.StatusUnauthorized {
			t.Errorf("a replica that started then: %d %s", status, answer)
		}
	}
	s.checkAllEnded("two minutes after it was made")
}

// A server takes over whose clock is a day behind, and which has not received the last
// commit: a token that is in no row, and that lives a day longer than revocations are usually
// remembered. Once its session is revoked, no replica accepts it, not even one that starts later and has seen neither
// the clock nor the failover.
func TestRevokedAfterLostCommitsOfAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	clock := testdb.NewClock(t, 0)
	if clock == nil {
		t.Skip("no clock of servers can be set here")
	}
	servers := testdb.NewReplicatedBy(t, clock)
	address := testdb.NewAddress(t, servers.Primary)
	settings := configure(t, address.URL(servers.Primary)).With(env{
		"LATCHKEY_REVOCATION_BOUND": edgeBound.String(), "LATCHKEY_REFRESH_GRACE": "1s", "LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0",
	})
	s := start(t, t.TempDir(), settings)
	pairs := make([]testservice.Pair, 2)
	for i := range pairs {
		pairs[i] = s.CreateSession(testKey, `{"subject":"ada","data":{}}`)
	}
	servers.CatchUp()
	servers.Freeze()
	clock.Set(24 * time.Hour)
	s.Await("the clock that is ahead to be known", func() bool {
		_, text := s.Send(http.MethodGet, s.Internal+"/metrics", "", nil)
		return metric(t, text, "latchkey_clock_offset_seconds") < -(12 * time.Hour).Seconds()
	})
	lost := make([]testservice.Pair, 2)
	for i, pair := range pairs {
		lost[i] = refreshed(t, s, pair.RefreshToken)
	}
	accepts := func(s *service, token string) bool {
		code, _ := s.Send(http.MethodGet, s.Public+"/v1/me/sessions", token, nil)
		return code == http.StatusOK
	}
	s.Await("the token to be accepted", func() bool { return accepts(s, lost[0].AccessToken) && accepts(s, lost[1].AccessToken) })

	servers.Primary.Kill()
	clock.Set(0)
	servers.Promote()
	address.Lead(servers.Standby)
	standby := servers.Standby.Pool()
	s.Await("the clock of the database before to be noted", func() bool {
		var noted bool
		return standby.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM "sessionStoreClock")`).Scan(&noted) == nil && noted
	})
	s.Await("a refresh", func() bool { // this client comes back before it is signed out, the other one does not
		code, _ := s.Refresh(lost[1].RefreshToken)
		return code == http.StatusOK
	})
	for _, pair := range pairs {
		if code, answer := s.Send(http.MethodDelete, s.Internal+"/v1/sessions/"+pair.Session.ID, testKey, nil); code != http.StatusNoContent {
			t.Fatalf("revoke: %d %s", code, answer)
		}
	}
	s.Await("the revocation", func() bool { return !accepts(s, lost[0].AccessToken) && !accepts(s, lost[1].AccessToken) })

	clock.Set(24*time.Hour + 2*time.Minute) // and the tokens live for ten
	late := start(t, t.TempDir(), settings)
	late.Await("revocations", func() bool {
		_, text := late.Send(http.MethodGet, late.Internal+"/metrics", "", nil)
		return metric(t, text, "latchkey_revocations_age_seconds") < edgeBound.Seconds()
	})
	for i, pair := range lost {
		if left := expiry(t, pair.AccessToken).Sub(time.Now().Add(24*time.Hour + 2*time.Minute)); left < time.Minute {
			t.Errorf("the token lives for %v: it proves nothing", left)
		}
		if accepts(late, pair.AccessToken) {
			t.Errorf("token %d: a replica that started later accepts it", i)
		}
	}
}

// skewed is a service on a PostgreSQL whose clock the test sets, and another service
// that verifies its tokens.
type skewed struct {
	*service
	t      *testing.T
	server *testdb.Skewed
	env    env
	pool   *pgxpool.Pool
	edge   *verifier.Verifier
	ended  []ended
}

// ended is an access token of a session that was revoked, and until when it may be accepted.
type ended struct {
	token string
	bound time.Time
}

func startSkewed(t *testing.T) *skewed {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has libfaketime")
	}
	server := testdb.NewSkewed(t)
	settings := configure(t, server.URL()).With(env{"LATCHKEY_REVOCATION_BOUND": edgeBound.String()})
	s := &skewed{service: start(t, t.TempDir(), settings), t: t, server: server, env: settings, pool: server.Pool()}
	var err error
	s.edge, err = verifier.NewRemote(verifier.RemoteConfig{
		Tokens:   tokens.Config{Issuer: settings["LATCHKEY_ISSUER"], Audience: "latchkey"},
		Internal: s.Internal, ServiceKey: testKey, Keys: s.Public + "/.well-known/jwks.json",
	}, verifier.Config{Bound: edgeBound, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.edge.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// now is the database's time.
func (s *skewed) now() (now time.Time) {
	s.t.Helper()
	if err := s.pool.QueryRow(s.t.Context(), `SELECT now()`).Scan(&now); err != nil {
		s.t.Fatal(err)
	}
	return now
}

// refresh must not be refused, and neither token that it gives may be born expired.
func (s *skewed) refresh(when string, pair testservice.Pair) testservice.Pair {
	s.t.Helper()
	status, answer := s.Refresh(pair.RefreshToken)
	if status != http.StatusOK {
		s.t.Fatalf("%s: a refresh: %d %s", when, status, answer)
	}
	next := testservice.ParsePair(s.t, answer)
	s.checkExpiry(when, next)
	return next
}

func (s *skewed) checkExpiry(when string, pair testservice.Pair) {
	s.t.Helper()
	now := s.now()
	for _, token := range []string{pair.AccessToken, pair.RefreshToken} {
		if left := expiry(s.t, token).Sub(now); left < time.Minute {
			s.t.Errorf("%s: a token is good for %v", when, left)
		}
	}
}

// accepts reports whether a route that needs no database accepts a token.
func (s *skewed) accepts(token string) bool {
	s.t.Helper()
	status, _ := s.Send(http.MethodGet, s.Public+"/v1/me/sessions", token, nil)
	return status == http.StatusOK
}

// expiry reads a token's exp.
func expiry(t *testing.T, token string) time.Time {
	t.Helper()
	var claims struct {
		ExpiresAt int64 `json:"exp"`
	}
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(claims.ExpiresAt, 0)
}

// checkLive requires a pair's access token to be accepted everywhere.
func (s *skewed) checkLive(when string, pair testservice.Pair) {
	s.t.Helper()
	if status := s.Current(pair.AccessToken); status != http.StatusOK {
		s.t.Errorf("%s: a strict check: %d", when, status)
	}
	status, answer := s.Send(http.MethodPost, s.Internal+"/oauth2/introspect", testKey, url.Values{"token": {pair.AccessToken}})
	if status != http.StatusOK || !strings.Contains(answer, `"active":true`) {
		s.t.Errorf("%s: introspection: %d %s", when, status, answer)
	}
	s.Await(when+": the service to accept a token", func() bool { return s.accepts(pair.AccessToken) })
	s.Await(when+": another service to accept a token", func() bool {
		_, err := s.edge.Verify(s.t.Context(), pair.AccessToken)
		return err == nil
	})
}

// revoke ends a session and checks that its token is accepted for at most a bound. It
// returns once no replica accepts it. Within the bound that may still change: an
// incomplete set, for which the database was asked, is loaded with the state of a moment
// before.
func (s *skewed) revoke(when string, pair testservice.Pair) {
	s.t.Helper()
	if status, answer := s.Send(http.MethodDelete, s.Internal+"/v1/sessions/"+pair.Session.ID, testKey, nil); status != http.StatusNoContent {
		s.t.Fatalf("%s: revoke: %d %s", when, status, answer)
	}
	past := time.Now().Add(edgeBound)
	s.ended = append(s.ended, ended{pair.AccessToken, past})
	if status, answer := s.Refresh(pair.RefreshToken); status != http.StatusBadRequest {
		s.t.Errorf("%s: a refresh after a revocation: %d %s", when, status, answer)
	}
	for {
		began := time.Now()
		inService := s.accepts(pair.AccessToken)
		_, err := s.edge.Verify(s.t.Context(), pair.AccessToken)
		switch {
		case began.After(past) && (inService || err == nil):
			s.t.Fatalf("%s: a revoked token is accepted %v past the bound", when, began.Sub(past))
		case began.After(past), !inService && errors.Is(err, verifier.ErrRevoked):
			return
		}
	}
}

// checkEnded requires every token of a revoked session to be refused everywhere: by a
// strict check from the answer on, by the others after the bound.
func (s *skewed) checkEnded(when string) {
	s.t.Helper()
	for _, e := range s.ended {
		if s.Current(e.token) == http.StatusOK {
			s.t.Errorf("%s: a strict check accepts a token that was revoked before", when)
		}
		if time.Now().Before(e.bound) {
			continue
		}
		if s.accepts(e.token) {
			s.t.Errorf("%s: the service accepts a token that was revoked before", when)
		}
		if _, err := s.edge.Verify(s.t.Context(), e.token); err == nil {
			s.t.Errorf("%s: another service accepts a token that was revoked before", when)
		}
	}
}

// checkAllEnded is checkEnded once the bound is over for each.
func (s *skewed) checkAllEnded(when string) {
	s.t.Helper()
	for _, e := range s.ended {
		time.Sleep(time.Until(e.bound))
	}
	s.checkEnded(when)
}

// PostgreSQL's clock is off from that of replicas and other services by a second or by
// a day, and jumps from one to the other, both ways: no user is signed out, no token
// is already expired when made, and no revoked one is accepted past the bound.
func TestClocksThatDisagree(t *testing.T) {
	t.Parallel()
	s := startSkewed(t)
	kept := s.CreateSession(testKey, `{"subject":"ada","data":{}}`)
	s.checkLive("at first", kept)
	for _, ahead := range []time.Duration{
		time.Second, -time.Second, 20 * time.Second, -20 * time.Second,
		time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour, 0, -24 * time.Hour, 24 * time.Hour,
	} {
		when := "ahead by " + ahead.String()
		s.server.SetClock(ahead)
		kept = s.refresh(when, kept)
		s.checkEnded(when)
		fresh := s.CreateSession(testKey, `{"subject":"ada","data":{}}`)
		s.checkExpiry(when, fresh)
		session := fresh.Session
		fresh = s.refresh(when, fresh)
		fresh.Session = session
		s.checkLive(when, fresh)
		s.checkLive(when, kept)
		s.checkOffset(when, -ahead)
		s.revoke(when, fresh)
		s.checkEnded(when)
	}
	s.checkAllEnded("at last")
	if log := s.Stderr.String(); !strings.Contains(log, "the clocks of this machine and of the database differ") {
		t.Error("the log does not say that the clocks differ")
	}
}

// metric reads one without labels.
func metric(t *testing.T, text, name string) float64 {
	t.Helper()
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			number, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return number
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// checkOffset waits until the replica's metrics show how far it is off.
func (s *skewed) checkOffset(when string, want time.Duration) {
	s.t.Helper()
	s.Await(when+": the metric of the clock's offset", func() bool {
		_, text := s.Send(http.MethodGet, s.Internal+"/metrics", "", nil)
		return math.Abs(metric(s.t, text, "latchkey_clock_offset_seconds")-want.Seconds()) < 0.5
	})
	if status, answer := s.Send(http.MethodGet, s.Internal+"/readyz", "", nil); status != http.StatusOK {
		s.t.Errorf("%s: not ready: %s", when, answer)
	}
}
