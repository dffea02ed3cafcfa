package clients_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// otherKey is of a backend that may introspect, and with -reads after it of one that may read; neither may do anything else.
const otherKey = "a-service-key-that-may-introspect-only-0001"

// severalKeys is a service with keys that lack rights, and a limit that is soon reached.
var severalKeys = testservice.Env{
	"LATCHKEY_SERVICE_KEYS":         "clients:" + testservice.Key + ",other:" + otherKey + ":introspect,reads:" + otherKey + "-reads:read",
	"LATCHKEY_SESSIONS_PER_SUBJECT": "5", "LATCHKEY_SESSIONS_PER_SUBJECT_ACTION": "refuse",
}

// Our package for Node backends: its tests are in clients/server-js, and run by Node's own test runner.
func TestServerClient(t *testing.T) {
	t.Parallel()
	need(t, "node", "npm")
	dir := t.TempDir()
	copyTracked(t, "../../clients/server-js", dir)
	run(t, dir, os.Environ(), "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")
	for _, script := range []string{"build", "package"} {
		t.Logf("%s", run(t, dir, os.Environ(), "npm", "run", "--silent", script))
	}
	t.Run("own tests", func(t *testing.T) {
		t.Parallel()
		httpapi, err := filepath.Abs("../../httpapi")
		if err != nil {
			t.Fatal(err)
		}
		s, down := start(t, severalKeys), testservice.StartWithoutDatabase(t)
		out := run(t, dir, testservice.Env{
			"PATH": os.Getenv("PATH"), "HOME": dir, "ISSUER": s.Public, "INTERNAL": s.Internal, "DOWN": down.Internal, "SERVICE_KEY": testservice.Key, "OTHER_KEY": otherKey,
			"AUDIENCE": audience, "HTTPAPI": httpapi, "PARENT": strconv.Itoa(os.Getpid()),
		}.With(startSharded(t)).List(), "npm", "test", "--silent")
		t.Logf("%s", out)
	})
	t.Run("Next.js", func(t *testing.T) {
		t.Parallel()
		testNext(t, dir)
	})
}

// testNext builds and runs an application as the package's README has it.
func testNext(t *testing.T, built string) {
	t.Helper()
	dir := t.TempDir()
	copyTracked(t, "next", dir)
	run(t, dir, os.Environ(), "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")
	own := filepath.Join(dir, "node_modules", "@latchkey", "server")
	if err := os.CopyFS(filepath.Join(own, "dist"), os.DirFS(filepath.Join(built, "dist"))); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"package.json": own, "test/browser.mjs": dir} {
		text, err := os.ReadFile(filepath.Join(built, from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(from)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, nil)
	env := testservice.Env{
		"PATH": os.Getenv("PATH"), "HOME": dir, "NEXT_TELEMETRY_DISABLED": "1", "ISSUER": s.Public, "SESSIONS_URL": s.Internal, "SERVICE_KEY": testservice.Key,
	}
	run(t, dir, env.List(), "npm", "run", "--silent", "build")
	t.Logf("%s", run(t, dir, env.List(), "node", "--test", "next.test.mjs"))
}
