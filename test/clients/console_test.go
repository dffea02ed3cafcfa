package clients_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const operatorKey = "dora-is-an-operator-of-tests-000001"

// The operators' page in Chromium: its tests are in console. With -update they take the pictures that the documents show.
func TestConsole(t *testing.T) {
	t.Parallel()
	need(t, "node", "npm", "chromium", "psql")
	s := start(t, testservice.Env{
		"LATCHKEY_SERVICE_KEYS": "clients:" + testservice.Key + ",dora:" + operatorKey + ":operator+read-data", "LATCHKEY_TRUSTED_PROXIES": "127.0.0.1/32",
	})
	dir := t.TempDir()
	copyTracked(t, "console", dir)
	run(t, dir, os.Environ(), "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(s.dir, "var", "postgres")
	password, err := os.ReadFile(filepath.Join(database, "data", "latchkey.password"))
	if err != nil {
		t.Fatal(err)
	}
	environment := s.settings.With(testservice.Env{
		"PATH": os.Getenv("PATH"), "HOME": dir, "CHROMIUM": chromium, "PUBLIC": s.Public, "INTERNAL": s.Internal,
		"LATCHKEY_INTERNAL_ADDR": strings.TrimPrefix(s.Internal, "http://"), "BACKEND_KEY": testservice.Key, "OPERATOR_KEY": "dora:" + operatorKey, "API": testservice.Program(),
		"PGHOST": filepath.Join(database, "socket"), "PGUSER": "latchkey", "PGPASSWORD": strings.TrimSpace(string(password)), "PGDATABASE": "postgres",
	})
	if *update {
		if environment["SCREENSHOTS"], err = filepath.Abs("../../docs/images"); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s", run(t, dir, environment.List(), "node", "--test", "console.test.mjs"))
}
