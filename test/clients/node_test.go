package clients_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// oauth4webapi, openid-client and jose: their tests are in npm, and run by Node's own test runner. The tests of proofs
// of possession are run again, with a nonce required for each.
func TestNode(t *testing.T) {
	t.Parallel()
	dir := installNode(t)
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		runNode(t, dir, start(t, nil))
	})
	t.Run("nonces", func(t *testing.T) {
		t.Parallel()
		s := start(t, testservice.Env{"LATCHKEY_DPOP_NONCE": "true"})
		runNode(t, dir, s, "--test-name-pattern=proofs of possession")
		if !strings.Contains(s.Stderr.String(), `"code":"use_dpop_nonce"`) {
			t.Error("no nonce was asked for")
		}
	})
	// A separate service: others have a key sign that was made just now, which a verifier does not know at once.
	t.Run("resource server", func(t *testing.T) {
		t.Parallel()
		runNode(t, dir, startResource(t), "resource.mjs")
	})
	// A tab continues with the access token that another tab's refresh has replaced. Where that is switched off some of its
	// calls fail, so the test sees such a failure.
	for name, accepted := range map[string]string{"a second tab": "true", "a second tab without the grace": "false"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chromium, err := exec.LookPath("chromium")
			if err != nil {
				t.Fatal(err)
			}
			port := freePort(t) // it has to be named before it is there
			s := start(t, testservice.Env{
				"LATCHKEY_ACCESS_TOKEN_TTL": "10s", "LATCHKEY_ACCESS_TOKEN_GRACE": accepted, "LATCHKEY_CORS_ORIGINS": "http://127.0.0.1:" + port,
			})
			s.settings = s.settings.With(testservice.Env{"PAGE_PORT": port, "ACCEPTED": accepted, "CHROMIUM": chromium})
			runNode(t, dir, s, "tabs.mjs")
		})
	}
}

// installNode copies the tests, so that nothing is installed into the checkout, and installs what they need.
func installNode(t *testing.T) (dir string) {
	t.Helper()
	need(t, "node", "npm")
	dir = t.TempDir()
	copyTracked(t, "npm", dir)
	run(t, dir, os.Environ(), "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")
	return dir
}

func runNode(t *testing.T, dir string, s *service, args ...string) {
	t.Helper()
	out := run(t, dir, s.settings.With(testservice.Env{
		"ISSUER": s.Public, "INTERNAL": s.Internal, "SERVICE_KEY": testservice.Key, "API": testservice.Program(),
	}).List(), "node", append([]string{"--test"}, args...)...)
	t.Logf("%s", out)
}
