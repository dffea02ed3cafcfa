package main_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// The address of the database leads to a standby for a while, which has not heard of
// the last revocation. The service says that it is not ready and answers with 503,
// and serves again once the address is right, also where a pooler has connections
// to the standby left.
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
