package clients_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// startSharded starts a service with sessions on three databases, and returns what a client's tests need of it.
func startSharded(t *testing.T) testservice.Env {
	t.Helper()
	databases := testservice.Env{"LATCHKEY_DATABASE_URL": testdb.URL(t), "LATCHKEY_SHARDS": "east=" + testdb.URL(t) + "\nwest=" + testdb.URL(t)}
	dir := testservice.Place(t)
	testservice.Run(t, dir, settings(dir).With(databases), "migrate")
	s := start(t, databases)
	command := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if out, err := testservice.Command(r.Context(), s.dir, s.settings, "sessions", "revoke", "--all", "--yes").CombinedOutput(); err != nil {
			t.Errorf("sessions revoke: %v: %s", err, out)
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(command.Close)
	return testservice.Env{"SHARDED_ISSUER": s.Public, "SHARDED_INTERNAL": s.Internal, "SIGN_OUT_ALL": command.URL}
}
