package main_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// The address of the database leads for a while to a standby that has not received
// the last revocation. The service reports that it is not ready and answers with
// 503, and serves again once the address is right, even if a pooler still has
// connections to the standby.
func TestServeOnThePrimaryOnly(t *testing.T) {
	t.Parallel()
	servers := testdb.NewReplicated(t)

	settings := configure(t, servers.Standby.URL()).With(env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"})
	const refusal = "api: the database of LATCHKEY_DATABASE_URL takes no writes: it is a standby, or default_transaction_read_only is on; it must be a primary\n"
	if r := api(t, settings); r.code != 1 || r.stderr != refusal {
		t.Errorf("on a standby: %d %s", r.code, r.stderr)
	}

	direct, pooled := testdb.NewAddress(t, servers.Primary), testdb.NewAddress(t, servers.Primary)
	directURL, pooledURL := direct.URL(servers.Primary), pooled.URL(servers.Primary)
	services := []*service{
		start(t, t.TempDir(), settings.With(env{"LATCHKEY_DATABASE_URL": directURL})),
		start(t, t.TempDir(), settings.With(env{"LATCHKEY_DATABASE_URL": pgBouncer(t, pooledURL), "LATCHKEY_DIRECT_DATABASE_URL": pooledURL})),
	}
	pair := services[0].CreateSession(testKey, `{"subject":"ada","data":{}}`)
	servers.CatchUp()
	servers.Freeze()
	if code, answer := services[1].Send(http.MethodDelete, services[1].Internal+"/v1/sessions?subject=ada", testKey, nil); code != http.StatusOK {
		t.Fatalf("sign out: %d %s", code, answer)
	}

	for _, address := range []*testdb.Address{direct, pooled} {
		address.Lead(servers.Standby)
		address.Cut()
	}
	for _, s := range services {
		s.Await("it to be not ready", func() bool {
			code, _ := s.Send(http.MethodGet, s.Internal+"/readyz", "", nil)
			return code == http.StatusServiceUnavailable
		})
		for range 10 {
			for what, ask := range map[string]func() (int, string){
				"introspection": func() (int, string) {
					return s.Send(http.MethodPost, s.Internal+"/oauth2/introspect", testKey, url.Values{"token": {pair.AccessToken}})
				},
				"a strict check": func() (int, string) { return s.Current(pair.AccessToken), "" },
				"a refresh":      func() (int, string) { return s.Refresh(pair.RefreshToken) },
				"a creation": func() (int, string) {
					return s.Send(http.MethodPost, s.Internal+"/v1/sessions", testKey, `{"data":{}}`)
				},
			} {
				if code, answer := ask(); code != http.StatusServiceUnavailable {
					t.Errorf("on a standby, %s: %d %s", what, code, answer)
				}
			}
		}
	}

	direct.Lead(servers.Primary)
	pooled.Lead(servers.Primary)
	for _, s := range services {
		s.Await("the primary", func() bool {
			code, _ := s.Send(http.MethodPost, s.Internal+"/v1/sessions", testKey, `{"data":{}}`)
			return code == http.StatusCreated
		})
		s.AwaitReady()
		if code := s.Current(pair.AccessToken); code != http.StatusUnauthorized {
			t.Errorf("on the primary, a revoked session: %d", code)
		}
	}
}

// The database moves to another server, and the former one, which was set to accept no writes, continues to run, with
// all connections. No replica stays with it, not with a single pool.
func TestServeLeavesAReadOnlyServer(t *testing.T) {
	t.Parallel()
	servers := testdb.NewReplicated(t)
	direct, pooled := testdb.NewAddress(t, servers.Primary), testdb.NewAddress(t, servers.Primary)
	directURL, pooledURL := direct.URL(servers.Primary), pooled.URL(servers.Primary)
	settings := configure(t, directURL).With(env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0", "LATCHKEY_REVOCATION_BOUND": edgeBound.String(), "LATCHKEY_REFRESH_GRACE": "1s"})
	services := []*service{
		start(t, t.TempDir(), settings),
		start(t, t.TempDir(), settings.With(env{"LATCHKEY_DATABASE_URL": pgBouncer(t, pooledURL), "LATCHKEY_DIRECT_DATABASE_URL": pooledURL})),
	}
	pair := services[0].CreateSession(testKey, `{"subject":"ada","data":{}}`)
	accepts := func(s *service) bool {
		code, _ := s.Send(http.MethodGet, s.Public+"/v1/me/sessions", pair.AccessToken, nil)
		return code == http.StatusOK
	}
	for _, s := range services {
		s.Await("it to accept a token", func() bool { return accepts(s) && s.Current(pair.AccessToken) == http.StatusOK })
	}
	execute(t, servers.Primary.URL(), `ALTER SYSTEM SET default_transaction_read_only = on`)
	execute(t, servers.Primary.URL(), `SELECT pg_reload_conf()`)
	servers.CatchUp()
	servers.Promote()
	direct.Lead(servers.Standby)
	pooled.Lead(servers.Standby)

	mustLine(t, settings.With(env{"LATCHKEY_DATABASE_URL": servers.Standby.URL()}), "sessions", "revoke", "--subject", "ada")
	past := time.Now().Add(edgeBound)
	for _, s := range services {
		s.Await("the revocation", func() bool {
			began := time.Now()
			if accepts(s) && began.After(past) {
				t.Fatalf("a revoked token is accepted %v past the bound", began.Sub(past))
			}
			return s.Current(pair.AccessToken) == http.StatusUnauthorized
		})
		s.Await("it to take writes", func() bool {
			code, _ := s.Send(http.MethodPost, s.Internal+"/v1/sessions", testKey, `{"data":{}}`)
			return code == http.StatusCreated
		})
		s.AwaitReady()
		first := s.CreateSession(testKey, `{"subject":"bob","data":{}}`)
		next := refreshed(t, s, first.RefreshToken)
		s.Await("theft", func() bool { // the old token is one that was replaced, once the new one was used
			s.Current(next.AccessToken)
			code, _ := s.Refresh(first.RefreshToken)
			return code == http.StatusBadRequest
		})
		s.Await("report of the theft", func() bool {
			for _, s := range services { // whichever replica takes the job
				if strings.Contains(s.Stderr.String(), `"session_id":"`+first.Session.ID+`"`) {
					return true
				}
			}
			return false
		})
	}
}

// A primary on which nothing can be written, for the database or for the role alone, is none:
// the service and every command say so, and do nothing.
func TestDatabaseThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	for _, whose := range []string{`DATABASE "%s"`, `ROLE CURRENT_USER IN DATABASE "%s"`} {
		database := testdb.URL(t)
		settings := configure(t, database).With(env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"})
		u, err := url.Parse(database)
		if err != nil {
			t.Fatal(err)
		}
		execute(t, database, `ALTER `+fmt.Sprintf(whose, strings.TrimPrefix(u.Path, "/"))+` SET default_transaction_read_only = on`)
		if r := api(t, settings, "serve"); r.code != 1 || r.stderr != "api: the database of LATCHKEY_DATABASE_URL takes no writes: it is a standby, or default_transaction_read_only is on; it must be a primary\n" {
			t.Errorf("%s: serve: %v", whose, r)
		}
		for _, args := range []string{"migrate", "migrate status", "migrate down --yes", "cleanup", "sessions list --subject=ada", "sessions revoke --subject=ada"} {
			const hint = "; the database takes no writes: it is a standby, or default_transaction_read_only is on, for the server, the database or the role\n"
			if r := api(t, settings, strings.Fields(args)...); r.code != 1 || r.stdout != "" || !strings.HasSuffix(r.stderr, hint) {
				t.Errorf("%s: %s: %v", whose, args, r)
			}
		}
	}
}

// Of several servers in one address the service finds the primary.
func TestServeFindsThePrimary(t *testing.T) {
	t.Parallel()
	servers := testdb.NewReplicated(t)
	standby, err := url.Parse(servers.Standby.URL())
	if err != nil {
		t.Fatal(err)
	}
	both := changeURL(t, servers.Primary.URL(), func(u *url.URL) { u.Host = standby.Host + "," + u.Host })
	s := start(t, t.TempDir(), configure(t, both).With(env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"}))
	s.CreateSession(testKey, `{"data":{}}`)
}
