package httpapi_test

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// checkOutage fails the test unless the answer is the expected one, or the one for
// an unreachable database. It reports whether it was the latter.
func checkOutage(t *testing.T, answer response, want int) bool {
	t.Helper()
	switch answer.StatusCode {
	case want:
		return false
	case http.StatusServiceUnavailable:
		if answer.Header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
		return true
	default:
		t.Errorf("%s %s: %d %s, want %d or 503", answer.Request.Method, answer.Request.URL.Path, answer.StatusCode, answer.body, want)
		return false
	}
}

// Security 22: a database is stopped, killed and started under load. Meanwhile
// there are 503s and nothing else, the service recovers on its own, no user is
// logged out, and everything acknowledged is stored.
func TestDatabaseOutage(t *testing.T) {
	t.Parallel()
	db := testdb.NewServer(t)
	// No rotation is refused for being late: nothing but the outages may cause an error.
	s := setupOn(t, db.Pool(), func(cfg *httpapi.Config, store *sessionstore.Config) {
		cfg.RequestTimeout = 2 * time.Second
		store.Grace = 100 * time.Millisecond
	})

	const users = 8
	var ended atomic.Bool
	var finals [users]struct {
		session session
		count   int
	}
	var outages, successes atomic.Int64
	var load sync.WaitGroup
	for i := range users {
		session := s.create(t, "user-"+strconv.Itoa(i))
		load.Go(func() {
			etag := `"` + session.checksum + `"`
			count := 0
			for !ended.Load() {
				answer := s.refresh(t, session.refresh)
				if checkOutage(t, answer, 200) {
					outages.Add(1)
					time.Sleep(10 * time.Millisecond)
					continue
				}
				if t.Failed() {
					return
				}
				pair := sessionOf(answer.json(t))
				session.access, session.refresh = pair.access, pair.refresh
				if checkOutage(t, s.public(t, "GET", "/v1/me/sessions", bearer(session.access)), 200) {
					outages.Add(1)
					continue
				}
				put := s.put(t, session.id, etag, `{"count":`+strconv.Itoa(count+1)+`}`)
				if put.StatusCode == http.StatusPreconditionFailed {
					// The write before was committed, its answer was an outage: it counts.
					etag, count = put.Header.Get("ETag"), count+1
					continue
				}
				if checkOutage(t, put, 200) {
					outages.Add(1)
					continue
				}
				etag, count = put.Header.Get("ETag"), count+1
				successes.Add(1)
			}
			finals[i].session, finals[i].count = session, count
		})
	}

	wait := func(what string, counter *atomic.Int64) {
		t.Helper()
		before := counter.Load()
		for deadline := time.Now().Add(patience); counter.Load() < before+users; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) || t.Failed() {
				t.Errorf("no %s", what)
				return
			}
		}
	}
	for _, end := range []func(){db.Stop, db.Kill} {
		wait("success", &successes)
		end()
		wait("outage", &outages)
		if answer := s.internal(t, "GET", "/readyz"); answer.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("readyz answers %d without a database", answer.StatusCode)
		}
		s.internal(t, "GET", "/livez").want(t, 200)
		db.Start()
		wait("recovery", &successes)
		s.internal(t, "GET", "/readyz").want(t, 200)
	}
	ended.Store(true)
	load.Wait()
	// Every user is still logged in, and nothing that was acknowledged is lost.
	for _, final := range finals {
		s.refresh(t, final.session.refresh).want(t, 200)
		data := at[map[string]any](t, s.internal(t, "GET", "/v1/sessions/"+final.session.id).want(t, 200).json(t), "data")
		if got := at[float64](t, data, "count"); int(got) != final.count && int(got) != final.count+1 {
			t.Errorf("%d writes were acknowledged, the data has %v", final.count, got)
		}
	}
}

// Security 22: slow is like down. The request ends in time, with 503: the locks are
// held until all have been answered.
func TestSlowDatabase(t *testing.T) {
	t.Parallel()
	patient := setup(t)
	s := setupOn(t, patient.pool, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.RequestTimeout = 500 * time.Millisecond })
	session := patient.create(t, "ann")
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE "sessionStore", "sessionStoreToken"`); err != nil {
		t.Fatal(err)
	}
	s.public(t, "GET", "/v1/me/sessions", bearer(session.access)).wantProblem(t, 503, "unavailable")
	s.refresh(t, session.refresh).wantProblem(t, 503, "temporarily_unavailable")
	s.internal(t, "POST", "/oauth2/introspect", form("token", session.access)).wantProblem(t, 503, "temporarily_unavailable")
	s.public(t, "POST", "/oauth2/revoke", form("token", session.access)).wantProblem(t, 503, "temporarily_unavailable")
	s.internal(t, "GET", "/readyz").wantProblem(t, 503, "unavailable")
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	patient.refresh(t, session.refresh).want(t, 200)
}

// Security 22: a request that gets no connection in time is answered with 503.
func TestNoConnectionLeft(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig(testdb.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	patient := setupOn(t, pool)
	s := setupOn(t, pool, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.RequestTimeout = 500 * time.Millisecond })
	session := patient.create(t, "ann")
	connection, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.refresh(t, session.refresh).wantProblem(t, 503, "temporarily_unavailable")
	s.public(t, "GET", "/v1/me/sessions", bearer(session.access)).wantProblem(t, 503, "unavailable")
	connection.Release()
	patient.refresh(t, session.refresh).want(t, 200)
}

// Security 22: a database that only reads, as a standby does, is not the
// token's fault.
func TestReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	config := s.pool.Config().ConnConfig
	if _, err := s.pool.Exec(t.Context(), `ALTER DATABASE "`+config.Database+`" SET default_transaction_read_only = on`); err != nil {
		t.Fatal(err)
	}
	s.pool.Reset()
	s.refresh(t, session.refresh).wantProblem(t, 503, "temporarily_unavailable")
	s.public(t, "DELETE", "/v1/me/sessions/current", bearer(session.access)).wantProblem(t, 503, "unavailable")
	s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{}}`)).wantProblem(t, 503, "unavailable")
	if !s.accepted(t, session.access) {
		t.Error("reading should still work")
	}
}
