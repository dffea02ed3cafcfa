package clients_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// oauth2-proxy accepts access tokens, configured only with the issuer, and passes the subject to the app. Any algorithm
// other than RS256 must be configured.
func TestOAuth2Proxy(t *testing.T) {
	t.Parallel()
	program := strings.TrimSpace(run(t, ".", os.Environ(), "go", "tool", "-n", "oauth2-proxy"))
	for algorithm, args := range map[string][]string{"RS256": nil, "ES256": {"--oidc-enabled-signing-alg=ES256"}} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			holdOAuth2Proxy(t, program, algorithm, args)
		})
	}
}

func holdOAuth2Proxy(t *testing.T, program, algorithm string, args []string) {
	t.Helper()
	s := start(t, testservice.Env{"LATCHKEY_KEY_ALGORITHM": algorithm})
	app := newApp(t)
	address := testservice.FreeAddress(t)
	startGateway(t, address, program, append(args,
		"--http-address="+address, "--upstream="+app.url, "--provider=oidc", "--oidc-issuer-url="+s.Public, "--client-id="+audience, "--oidc-email-claim=sub",
		"--skip-jwt-bearer-tokens", "--bearer-token-login-fallback=false", "--api-route=.*", "--email-domain=*",
		"--client-secret=unused", "--cookie-secret=0123456789abcdef", "--redirect-url=http://"+address+"/unused")...)

	ada := s.signInPair("ada")
	wantPage(t, "http://"+address, ada.AccessToken, http.StatusOK)
	if user := app.last.Load().Header.Get("X-Forwarded-User"); user != "ada" {
		t.Errorf("the app was told that the user is %q", user)
	}
	// A client cannot set the user's headers itself, under any name that a server for WSGI or Rack reads as them.
	forged := map[string]string{}
	for _, what := range []string{"User", "Email", "Groups", "Preferred-Username"} {
		for _, name := range []string{"X-Forwarded-" + what, "X_Forwarded_" + what, "X_Forwarded-" + what} {
			forged[name] = "root"
		}
	}
	ask(t, "http://"+address, http.MethodGet, "/page", ada.AccessToken, forged)
	for name, values := range app.last.Load().Header {
		if slices.Contains(values, "root") {
			t.Errorf("the app got %s: %q", name, values)
		}
	}
	requests := app.requests.Load()
	for what, token := range map[string]string{
		"a refresh token": ada.RefreshToken, "a changed token": ada.AccessToken[:len(ada.AccessToken)-8] + "AAAAAAAA", "no token": "",
	} {
		if got := ask(t, "http://"+address, http.MethodGet, "/page", token, nil); got.StatusCode != http.StatusUnauthorized && got.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", what, got.StatusCode)
		}
	}
	if n := app.requests.Load(); n != requests {
		t.Errorf("the app was asked %d times without a good token", n-requests)
	}
}
