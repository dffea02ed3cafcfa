package main_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// fixedIssuer keeps tokens valid while the ports change.
var fixedIssuer = env{"LATCHKEY_ISSUER": "http://localhost:8080"}

// A person tries the service out: no setting, one command, and what it prints pasted into a shell.
func TestTryItOut(t *testing.T) {
	t.Parallel()
	dir := place(t)

	s := start(t, dir, fixedIssuer)
	checkFilesArePrivate(t, dir)
	for _, shell := range []string{"bash", "zsh"} {
		if path, err := exec.LookPath(shell); err == nil {
			checkPaste(t, s, path)
		} else if shell == "bash" {
			t.Errorf("no bash: %v", err)
		}
	}
	kept := s.CreateSession(serviceKey(t, dir), `{"subject":"ada","data":{"cart":[1]}}`)

	// Ctrl-C, and another day.
	if code := s.End(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d after Ctrl-C", code)
	}
	checkNoServerLeft(t, dir)
	checkNoSecret(t, dir, s, kept)

	s = start(t, dir, fixedIssuer)
	if code := s.Current(kept.AccessToken); code != http.StatusOK {
		t.Errorf("after a restart the session answers %d", code)
	}

	// The machine loses its power.
	if code := s.End(syscall.SIGKILL); code != -1 {
		t.Errorf("exit code %d after SIGKILL", code)
	}
	s = start(t, dir, fixedIssuer)
	if code := s.Current(kept.AccessToken); code != http.StatusOK {
		t.Errorf("after SIGKILL and a restart the session answers %d", code)
	}

	checkCommandsBeside(t, dir, s, kept)
	checkSecondServiceIsRefused(t, dir)

	// PostgreSQL dies.
	pid, err := strconv.Atoi(strings.SplitN(readFile(t, dir, "var", "postgres", "data", "postmaster.pid"), "\n", 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := s.Wait(); code != 1 {
		t.Errorf("exit code %d after PostgreSQL's end", code)
	}
	if want := "api: the private PostgreSQL exited unexpectedly: see postgres/postgres.log in LATCHKEY_VAR_DIR, and start again\n"; !strings.HasSuffix(s.Stderr.String(), want) {
		t.Errorf("no word of PostgreSQL's end: %s", s.Stderr)
	}

	// Without a service the commands start the database for themselves, and stop it.
	if out := mustAPI(t, dir, nil, "migrate"); out != "the database schema is up to date\n" {
		t.Errorf("migrate: %q", out)
	}
	checkNoServerLeft(t, dir)
}

// checkPaste runs the commands that the service printed, all of them at once and to the letter.
func checkPaste(t *testing.T, s *service, shell string) {
	t.Helper()
	var script strings.Builder
	for line := range strings.Lines(s.Stdout.String()) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			script.WriteString(command)
		}
	}
	cmd := exec.CommandContext(t.Context(), shell, "-e", "-c", script.String())
	cmd.Env = env{}.List()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", shell, err, script.String(), out)
	}

	// The token responses are a line each; whatever the two answers between and after them look like.
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	created, session, refreshed, status := map[string]any{}, map[string]any{}, map[string]any{}, 0
	for _, answer := range []any{&created, &session, &refreshed, &status} {
		if err := decoder.Decode(answer); err != nil {
			t.Fatalf("%s printed something else: %v\n%s", shell, err, out)
		}
	}
	if session["subject"] != "ada" || session["data"] != nil {
		t.Errorf("%s: the session is %v", shell, session)
	}
	if refreshed["access_token"] == nil || refreshed["access_token"] == created["access_token"] {
		t.Errorf("%s: the refresh answered %v", shell, refreshed)
	}
	if status != http.StatusNoContent {
		t.Errorf("%s: the logout answered %d", shell, status)
	}
	access, ok := refreshed["access_token"].(string)
	if code := s.Current(access); !ok || code != http.StatusUnauthorized {
		t.Errorf("%s: after the logout the token answers %d", shell, code)
	}
}

func checkFilesArePrivate(t *testing.T, dir string) {
	t.Helper()
	want := map[string]fs.FileMode{
		"var": fs.ModeDir | 0o700, "var/service-key": 0o600, "var/signing-keys.json": 0o600, "var/postgres/data": fs.ModeDir | 0o700,
		"var/postgres/socket": fs.ModeDir | 0o700,
	}
	if os.Geteuid() == 0 {
		want["var"] = fs.ModeDir | 0o711 // PostgreSQL's user passes through
	}
	got := map[string]fs.FileMode{}
	for name := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got[name] = info.Mode()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
	if text := readFile(t, dir, "var", ".gitignore"); text != "*\n" {
		t.Errorf("git would take the keys: %q", text)
	}
	for _, file := range entries(t, filepath.Join(dir, "var")) {
		if strings.HasPrefix(file, ".") && file != ".gitignore" {
			t.Errorf("a temporary file is left: %s", file)
		}
	}
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return names
}

func checkNoServerLeft(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "var", "postgres", "data", "postmaster.pid")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("PostgreSQL was not shut down: %v", err)
	}
}

// checkNoSecret looks for everything secret in everything printed.
func checkNoSecret(t *testing.T, dir string, s *service, pair testservice.Pair) {
	t.Helper()
	var keys struct {
		Keys []struct {
			D string `json:"d"`
		} `json:"keys"`
	}
	if err := json.Unmarshal([]byte(readFile(t, dir, "var", "signing-keys.json")), &keys); err != nil {
		t.Fatal(err)
	}
	printed := s.Stdout.String() + s.Stderr.String()
	for what, secret := range map[string]string{
		"service key":         serviceKey(t, dir),
		"private key":         keys.Keys[0].D,
		"database's password": strings.TrimSpace(readFile(t, dir, "var", "postgres", "data", "latchkey.password")),
		"access token":        pair.AccessToken,
		"refresh token":       pair.RefreshToken,
	} {
		if secret == "" || strings.Contains(printed, secret) {
			t.Errorf("the %s was printed, or there is none", what)
		}
	}
}

func checkCommandsBeside(t *testing.T, dir string, s *service, pair testservice.Pair) {
	t.Helper()
	if out := mustAPI(t, dir, nil, "sessions", "list", "--subject", "ada"); !strings.Contains(out, pair.Session.ID) {
		t.Errorf("sessions list: %s", out)
	}
	if out := mustAPI(t, dir, nil, "cleanup", "--dry-run"); !strings.HasPrefix(out, "would remove 0 sessions (0 expired, 0 revoked) and 0 token pairs in ") {
		t.Errorf("cleanup: %s", out)
	}
	if out := mustAPI(t, dir, nil, "keys", "list"); !strings.Contains(out, "ES256      signs") {
		t.Errorf("keys list: %s", out)
	}
	if out := mustAPI(t, dir, nil, "sessions", "revoke", pair.Session.ID); out != "revoked "+pair.Session.ID+"\n" {
		t.Errorf("sessions revoke: %s", out)
	}
	if code := s.Current(pair.AccessToken); code != http.StatusUnauthorized {
		t.Errorf("after sessions revoke the token answers %d", code)
	}
}

func checkSecondServiceIsRefused(t *testing.T, dir string) {
	t.Helper()
	r := apiIn(t, dir, env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"})
	if r.code != 1 || !strings.Contains(r.stderr, "its database is in use by process") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("a second service on the same data: exit code %d: %s", r.code, r.stderr)
	}
}

func serviceKey(t *testing.T, dir string) string {
	t.Helper()
	return strings.TrimSpace(readFile(t, dir, "var", "service-key"))
}
