package clients_test

import (
	"os"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// oauth4webapi, openid-client and jose: their tests are in npm, and run by Node's own test runner. What is about proofs
// of possession is run once more, where each needs a nonce.
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
	// A service of its own: others have a key sign that was made just now, which a verifier does not know at once.
	t.Run("resource server", func(t *testing.T) {
		t.Parallel()
		s := start(t, nil)
		s.settings["RESOURCE"] = startResource(t, s)
		runNode(t, dir, s, "resource.mjs")
	})
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
