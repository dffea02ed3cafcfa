package main_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// The database has another isolation level as its default, which the service cannot
// set behind a PgBouncer. Conflicting refreshes and sign-outs are still answered.
func TestServeAtAnyIsolationLevel(t *testing.T) {
	t.Parallel()
	database := testdb.URL(t)
	defaultIsolation(t, database, "serializable")
	settings := configure(t, database).With(env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0", "LATCHKEY_SESSIONS_PER_SUBJECT": "2"})
	for name, s := range map[string]*service{
		"directly":          start(t, t.TempDir(), settings),
		"through PgBouncer": start(t, t.TempDir(), settings.With(env{"LATCHKEY_DATABASE_URL": pgBouncer(t, database), "LATCHKEY_DIRECT_DATABASE_URL": database})),
	} {
		for round := range 5 {
			meet(t, s, fmt.Sprintf("%s, %d", name, round))
		}
	}
}

// meet has a session refreshed by several tabs at once, and then signed out
// alongside other refreshes.
func meet(t *testing.T, s *service, subject string) {
	t.Helper()
	pair := s.CreateSession(testKey, fmt.Sprintf(`{"subject":%q,"data":{}}`, subject))
	var all sync.WaitGroup
	for range manyClients {
		all.Go(func() {
			if code, answer := s.Refresh(pair.RefreshToken); code != http.StatusOK {
				t.Errorf("%s: a refresh: %d %s", subject, code, answer)
			}
		})
	}
	all.Wait()
	pair = s.CreateSession(testKey, fmt.Sprintf(`{"subject":%q,"data":{}}`, subject))
	for i := range manyClients {
		all.Go(func() {
			if i%3 == 0 {
				if code, answer := s.Send(http.MethodDelete, s.Internal+"/v1/sessions/"+pair.Session.ID, testKey, nil); code != http.StatusNoContent {
					t.Errorf("%s: a sign-out: %d %s", subject, code, answer)
				}
			} else if code, answer := s.Refresh(pair.RefreshToken); code != http.StatusOK && code != http.StatusBadRequest {
				t.Errorf("%s: a refresh alongside a sign-out: %d %s", subject, code, answer)
			}
		})
	}
	all.Wait()
	if code, answer := s.Refresh(pair.RefreshToken); code != http.StatusBadRequest {
		t.Errorf("%s: after a sign-out: %d %s", subject, code, answer)
	}
}

// The job queue's statements, which it writes itself, and those that note and follow things alongside requests run at
// the level that they are written for: nothing of it fails, and no report waits for another attempt.
func TestReportsAtAnyIsolationLevel(t *testing.T) {
	t.Parallel()
	const replicas, thefts = 3, 24
	database := testdb.URL(t)
	defaultIsolation(t, database, "serializable")
	hook, reports := newHook(t)
	settings := configure(t, database).With(env{
		"LATCHKEY_DATABASE_URL": pgBouncer(t, database), "LATCHKEY_DIRECT_DATABASE_URL": database,
		"LATCHKEY_LEAK_WEBHOOK_URL": hook, "LATCHKEY_LEAK_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	})
	var services [replicas]*service
	var all sync.WaitGroup
	for i := range services {
		services[i] = start(t, t.TempDir(), settings)
	}
	var stolen []string
	for range thefts {
		pair := services[0].CreateSession(testKey, `{"data":{}}`)
		stolen = append(stolen, pair.RefreshToken)
		for range 2 {
			_, answer := services[0].Refresh(pair.RefreshToken)
			pair = testservice.ParsePair(t, answer)
			execute(t, database, `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - interval '1 h', "settledAt" = "settledAt" - interval '1 h'`)
		}
	}
	for i, token := range stolen {
		all.Go(func() {
			if code, answer := services[i%replicas].Refresh(token); code != http.StatusBadRequest {
				t.Errorf("a stolen token: %d %s", code, answer)
			}
		})
	}
	all.Wait()
	late := time.After(testservice.Patience)
	for came := range thefts {
		select {
		case <-reports:
			continue
		case <-late:
			t.Errorf("%d reports of %d came", came, thefts)
		}
		break
	}
	for _, s := range services {
		s.End(syscall.SIGTERM)
		for _, line := range complaints(s) {
			t.Errorf("logged: %s", line)
		}
	}
}

// complaints are the warnings and errors that the service has logged, except for those that tests like these bring about:
// that a token was stolen, and that a busy machine kept the database's answer back from what runs in the background and
// from checks of readiness.
func complaints(s *service) (lines []string) {
	isSlow := func(line string) bool {
		isReadiness := strings.Contains(line, `"route":"/readyz"`)
		isTimeout := strings.Contains(line, "silent for too long") || strings.Contains(line, "context deadline exceeded")
		return isReadiness || isTimeout && strings.Contains(line, `"level":"WARN"`)
	}
	for line := range strings.Lines(s.Stderr.String()) {
		if !strings.Contains(line, "stolen") && !isSlow(line) && (strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, `"level":"WARN"`)) {
			lines = append(lines, line)
		}
	}
	return lines
}

// defaultIsolation gives the database another default.
func defaultIsolation(t *testing.T, database, level string) {
	t.Helper()
	cfg, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, database, `ALTER DATABASE "`+cfg.Database+`" SET default_transaction_isolation = '`+level+`'`)
}
