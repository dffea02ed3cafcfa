package main_test

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

var update = flag.Bool("update", false, "write the golden files")

func TestHelp(t *testing.T) {
	t.Parallel()

	for _, command := range []string{
		"", "serve", "migrate", "migrate up", "migrate status", "migrate down", "cleanup",
		"keys", "keys init", "keys generate", "keys list", "keys export", "keys rotate", "keys revoke",
		"data", "data keys", "data keys generate", "data keys promote", "data keys remove", "data keys list", "data reencrypt", "sessions", "sessions list", "sessions show", "sessions revoke", "shards", "shards list", "shards remove", "events", "events dead", "events resend", "console", "health", "version",
	} {
		// A wrong setting must not hide the help.
		r := line(env{"LATCHKEY_ACCESS_TOKEN_TTL": "x"}, append(strings.Fields(command), "--help")...)
		if r.code != 0 || r.stderr != "" {
			t.Errorf("%q: exit code %d: %s", command, r.code, r.stderr)
		}
		golden(t, strings.TrimSuffix("help "+command, " ")+".txt", r.stdout)
		for line := range strings.Lines(r.stdout) {
			if len(strings.TrimSuffix(line, "\n")) > 100 {
				t.Errorf("%q: a line is too long for a terminal: %s", command, line)
			}
		}
	}
	if short, long := line(nil, "-h"), line(nil, "--help"); short != long {
		t.Errorf("-h is not --help: %v", short)
	}
}

// Packages install the command under another name, which its texts have.
func TestNameThatItIsCalledBy(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "latchkey")
	if err := os.Symlink(testservice.Program(), program); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--help":          "Usage: latchkey [<command>] [flags]\n",
		"sessions --help": "Usage: latchkey sessions <command> [flags]\n",
		"start":           "latchkey: unexpected argument start (see latchkey --help)\n",
		"data keys list":  "it must be a keyset as `latchkey data keys generate` makes one",
	} {
		cmd := exec.CommandContext(t.Context(), program, strings.Fields(args)...)
		cmd.Env = env{}.List()
		out, err := cmd.CombinedOutput()
		if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if !strings.Contains(string(out), want) || strings.Contains(string(out), "api ") {
			t.Errorf("%s: %s", args, out)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-"))
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(readFile(t, path), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

var (
	helpFlags   = regexp.MustCompile(`(?m)^ +--([a-z-]+)[= ]`)
	settingRows = regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| ")
)

// The documents list the settings that there are, and no others.
func TestDocumentsListTheSettings(t *testing.T) {
	t.Parallel()

	var want, got []string
	for _, match := range helpFlags.FindAllStringSubmatch(line(nil, "serve", "--help").stdout, -1) {
		want = append(want, "LATCHKEY_"+strings.ToUpper(strings.ReplaceAll(match[1], "-", "_")))
	}
	for _, match := range settingRows.FindAllStringSubmatch(readFile(t, filepath.Join("..", "..", "docs", "settings.md")), -1) {
		got = append(got, match[1])
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
		t.Errorf("docs/settings.md (-help +document):\n%s", diff)
	}
}
