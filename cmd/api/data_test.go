package main_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/dataseal"
)

// dataKeyset is a DATA_ENCRYPTION_KEYSET.
func dataKeyset(t *testing.T) string {
	t.Helper()
	keys, err := dataseal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var madeDataKey = regexp.MustCompile(`^made key (\d+) in `)

// generateDataKey returns the name of a key that was added to a file.
func generateDataKey(t *testing.T, file, does string) string {
	t.Helper()
	printed := mustAPI(t, t.TempDir(), nil, "data", "keys", "generate", "--file", file)
	m := madeDataKey.FindStringSubmatch(printed)
	if m == nil || printed != m[0]+file+": "+does+"\n" {
		t.Fatalf("printed %q", printed)
	}
	return m[1]
}

const opensOnly = "it opens, and does not seal until it is promoted, when every replica has it"

func TestDataKeys(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keyset.json")
	old := generateDataKey(t, file, "it seals")
	checkMode(t, file, 0o600)
	added := generateDataKey(t, file, opensOnly)
	checkMode(t, file, 0o600)

	secret := readFile(t, file)
	list := func(want string) {
		t.Helper()
		r := api(t, nil, "data", "keys", "list", "--data-encryption-keyset-file", file)
		if got := strings.Join(strings.Fields(r.stdout), " "); r.code != 0 || got != "KEY ALGORITHM USE "+want {
			t.Errorf("%v, want %s", r, want)
		}
	}
	list(old + " XAES-256-GCM seals " + added + " XAES-256-GCM opens")
	if r := api(t, nil, "data", "keys", "remove", old, "--file", file); r.code != 1 || !strings.HasSuffix(r.stderr, "the key seals: another one has to be made the primary key first\n") {
		t.Errorf("removing the key that seals: %v", r)
	}
	mustAPI(t, t.TempDir(), nil, "data", "keys", "promote", added, "--file", file)
	list(old + " XAES-256-GCM opens " + added + " XAES-256-GCM seals")
	mustAPI(t, t.TempDir(), nil, "data", "keys", "remove", old, "--file", file)
	list(added + " XAES-256-GCM seals")
	if r := api(t, nil, "data", "keys", "promote", old, "--file", file); r.code != 1 || r.stderr != `api: key "`+old+`" in `+file+": the keyset has no such key\n" {
		t.Errorf("promoting what is not there: %v", r)
	}
	checkMode(t, file, 0o600)

	printed := mustAPI(t, t.TempDir(), nil, "data", "keys", "generate")
	r := api(t, env{"DATA_ENCRYPTION_KEYSET": printed}, "data", "keys", "list", "--json")
	if r.code != 0 || strings.Count(r.stdout, `"kid"`) != 1 || !strings.Contains(r.stdout, `"primary": true`) {
		t.Errorf("a keyset that was printed: %v", r)
	}
	for _, text := range []string{secret, printed} {
		_, value, _ := strings.Cut(text, `"value":`)
		if value = strings.Trim(value[:40], `" `); strings.Contains(r.stdout+r.stderr, value) {
			t.Error("a secret is printed")
		}
	}

	notOne := writeFile(t, secret[:50], t.TempDir(), "broken")
	for _, args := range [][]string{
		{"generate", "--file", notOne},
		{"promote", "1", "--file", notOne},
		{"remove", "1", "--file", notOne},
		{"list", "--data-encryption-keyset-file", notOne},
	} {
		r := api(t, nil, append([]string{"data", "keys"}, args...)...)
		if r.code != 1 || !strings.HasPrefix(r.stderr, "api: "+notOne+" holds no usable keyset; it may hold a keyset as `api data keys generate` makes one") || strings.Contains(r.stderr, secret[10:40]) {
			t.Errorf("%v: %v", args, r)
		}
	}
	if readFile(t, notOne) != secret[:50] {
		t.Error("a file that is no keyset was overwritten")
	}
}
