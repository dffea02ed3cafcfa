package main_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// The database has another isolation level as its default, which the service cannot
// set where a PgBouncer stands before it. Refreshes and sign-outs that meet are
// answered as ever.
func TestServeAtAnyIsolationLevel(t *testing.T) {
	t.Parallel()
	database := testdb.URL(t)
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), `ALTER DATABASE "`+conn.Config().Database+`" SET default_transaction_isolation = 'serializable'`); err != nil {
		t.Fatal(err)
	}
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

// meet has a session refreshed by several tabs at once, and then signed out beside
// other refreshes.
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
				t.Errorf("%s: a refresh beside a sign-out: %d %s", subject, code, answer)
			}
		})
	}
	all.Wait()
	if code, answer := s.Refresh(pair.RefreshToken); code != http.StatusBadRequest {
		t.Errorf("%s: after a sign-out: %d %s", subject, code, answer)
	}
}
