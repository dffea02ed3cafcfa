package clients_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// HAProxy verifies tokens by itself, with a key that it was given.
func TestHAProxyByItself(t *testing.T) {
	t.Parallel()
	s := start(t, testservice.Env{"LATCHKEY_ACCESS_TOKEN_TTL": "7s"})
	app := newApp(t)
	dir, address := testservice.Place(t), testservice.FreeAddress(t)
	key := filepath.Join(dir, "latchkey.pem")
	exported := testservice.Run(t, s.dir, s.settings, "keys", "export", "--pem")
	if err := os.WriteFile(key, []byte(exported), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(fill(t, gatewayBlocks(t, "haproxy")[1], map[string]string{
		"/etc/haproxy/latchkey.pem": key, "https://sessions.example.com": s.Public, "bind :80": "bind " + address, "127.0.0.1:3000": host(app.url),
	})), 0o600); err != nil {
		t.Fatal(err)
	}
	startGateway(t, address, programOfRoot(t, "haproxy"), "-db", "-f", file)
	gate := "http://" + address

	ada := s.signInPair(`ada\r\nLatchkey-Scope: admin`)
	if got := ask(t, gate, http.MethodDelete, "/page", ada.AccessToken, map[string]string{"Latchkey-Session": "x"}); got.StatusCode != http.StatusOK {
		t.Fatalf("with a good token: %d %v", got.StatusCode, got.Header)
	}
	told := app.last.Load().Header
	if subject := told.Get("Latchkey-Subject"); subject != "ada%0D%0ALatchkey-Scope%3A%20admin" || told.Get("Latchkey-Scope")+told.Get("Latchkey-Session") != "" {
		t.Errorf("the app got %v", told)
	}
	holdNames(t, app, gate, s.signInPair("ada").AccessToken)
	_, other := s.Send(http.MethodPost, s.Internal+"/v1/sessions", testservice.Key, `{"subject":"eve","data":{},"dpop_jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}`)
	stranger := start(t, nil).signInPair("ada")
	for what, token := range map[string]string{
		"no token": "", "nonsense": "nonsense", "another service's token": stranger.AccessToken, "a refresh token": ada.RefreshToken,
		"a bound token": testservice.ParsePair(t, other).AccessToken,
	} {
		if got := ask(t, gate, http.MethodGet, "/page", token, nil); got.StatusCode != http.StatusUnauthorized || got.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("with %s: %d %v", what, got.StatusCode, got.Header)
		}
	}
	testservice.Await(t, "the token to expire", func() bool {
		return ask(t, gate, http.MethodGet, "/page", ada.AccessToken, nil).StatusCode == http.StatusUnauthorized
	})
}
