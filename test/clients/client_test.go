package clients_test

import (
	"flag"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

var faults = flag.Duration("faults", 10*time.Second, "for how long our client is on a bad network, in Node and then in a browser")

// Our own client for browsers and apps: its tests are in clients/js, and run by Node's own test runner, in Node and in Chromium.
func TestOwnClient(t *testing.T) {
	t.Parallel()
	need(t, "node", "npm", "chromium")
	port := freePort(t) // it has to be named before it is there
	s := start(t, testservice.Env{"LATCHKEY_CORS_ORIGINS": "http://127.0.0.1:" + port})
	dir := t.TempDir()
	copyTracked(t, "../../clients/js", dir)
	run(t, dir, os.Environ(), "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")
	for _, script := range []string{"build", "package"} {
		t.Logf("%s", run(t, dir, os.Environ(), "npm", "run", "--silent", script))
	}
	answers, err := filepath.Abs("../../httpapi/testdata")
	if err != nil {
		t.Fatal(err)
	}
	out := run(t, dir, testservice.Env{
		"PATH": os.Getenv("PATH"), "HOME": dir, "PAGE_PORT": port,
		"ISSUER": s.Public, "INTERNAL": s.Internal, "SERVICE_KEY": testservice.Key, "FAULTS_FOR": strconv.Itoa(int(faults.Seconds())),
		"ANSWERS": answers, "PARENT": strconv.Itoa(os.Getpid()),
	}.List(), "npm", "test", "--silent")
	t.Logf("%s", out)
	holdDemo(t, dir)
}

// freePort returns a port that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(testservice.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// copyTracked copies a folder without what was built or installed in it.
func copyTracked(t *testing.T, from, to string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard")
	cmd.Dir = from
	names, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(string(names)) {
		name = strings.TrimSpace(name)
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		place := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(place, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
