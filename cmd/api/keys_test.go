package main_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestKeysInit(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "deep", "var")
	signing, service := filepath.Join(dir, "signing-keys.json"), filepath.Join(dir, "service-key")

	r := line(nil, "keys", "init", "--dir", dir)
	if want := (result{0, "", "made " + signing + "\nmade " + service + "\n"}); r != want {
		t.Errorf("first: %v, want %v", r, want)
	}
	before := readFile(t, signing) + readFile(t, service)
	r = line(env{"LATCHKEY_VAR_DIR": dir}, "keys", "init")
	if want := (result{0, "", "kept " + signing + "\nkept " + service + "\n"}); r != want {
		t.Errorf("again: %v, want %v", r, want)
	}
	r = line(nil, "keys", "init", "--dir", dir, "--show")
	if want := (result{0, readFile(t, service), "kept " + signing + "\nkept " + service + "\n"}); r != want {
		t.Errorf("with --show: %v, want %v", r, want)
	}
	if readFile(t, signing)+readFile(t, service) != before {
		t.Error("the keys changed")
	}
	if key := strings.TrimSpace(readFile(t, service)); len(key) != 32 {
		t.Errorf("the service key has %d characters", len(key))
	}
	if _, err := tokens.ParseKeyRing([]byte(readFile(t, signing))); err != nil {
		t.Error(err)
	}
	checkMode(t, signing, 0o600)
	checkMode(t, service, 0o600)

	// git leaves a folder alone that the command has made.
	if text := readFile(t, dir, ".gitignore"); text != "*\n" {
		t.Errorf("git would take the keys: %q", text)
	}
}

// The algorithm is that of the new key; if one already exists it has no effect, and a message says so.
func TestAlgorithmOfMadeKeys(t *testing.T) {
	t.Parallel()
	dir := place(t)
	for i, args := range [][]string{{"keys", "init", "--algorithm", "RS256", "--dir", dir}, {"keys", "init", "--dir", dir}} {
		r := api(t, nil, args...)
		if r.code != 0 || strings.Contains(r.stderr, "no effect") {
			t.Errorf("%d: %v", i, r)
		}
	}
	hint := `LATCHKEY_KEY_ALGORITHM=ES256 has no effect: the signing key in ` + filepath.Join(dir, "signing-keys.json") + ` is for RS256; `
	if r := api(t, env{"LATCHKEY_KEY_ALGORITHM": "ES256"}, "keys", "init", "--dir", dir); r.code != 0 || !strings.Contains(r.stderr, hint) {
		t.Errorf("another one: %v", r)
	}
	if r := api(t, nil, "keys", "list", "--file", filepath.Join(dir, "signing-keys.json")); !strings.Contains(r.stdout, "RS256      signs") {
		t.Errorf("listed: %v", r)
	}
	if r := api(t, nil, "keys", "init", "--algorithm", "none", "--dir", dir); r.code != 2 {
		t.Errorf("no algorithm: %v", r)
	}

	// The service makes its first key so, too, and continues with the one that it has.
	dir = place(t)
	s := start(t, dir, env{"LATCHKEY_KEY_ALGORITHM": "RS256"})
	_, keys := s.Send(http.MethodGet, s.Public+"/.well-known/jwks.json", "", nil)
	if !strings.Contains(keys, `"alg":"RS256"`) || strings.Contains(s.Stderr.String(), "has no effect") {
		t.Errorf("published: %s", keys)
	}
	s.Stop()
	s = start(t, dir, env{"LATCHKEY_KEY_ALGORITHM": "ES256"})
	if _, keys = s.Send(http.MethodGet, s.Public+"/.well-known/jwks.json", "", nil); !strings.Contains(keys, `"alg":"RS256"`) {
		t.Errorf("published after a restart: %s", keys)
	}
	if log := s.Stderr.String(); !strings.Contains(log, "LATCHKEY_KEY_ALGORITHM=ES256 has no effect") {
		t.Errorf("the log does not say that it has no effect: %s", log)
	}
}

// The export is the public part of the published keys, in the same order.
func TestKeysExport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "signing-keys.json")
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA", "HS256"} {
		mustAPI(t, dir, nil, "keys", "generate", "--algorithm", algorithm, "--file", file)
	}
	ring, err := tokens.ParseKeyRing([]byte(readFile(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	var published jose.JSONWebKeySet
	if err := json.Unmarshal(ring.PublicJWKS(), &published); err != nil {
		t.Fatal(err)
	}
	if len(published.Keys) != 3 {
		t.Fatalf("%d keys are public, want 3", len(published.Keys))
	}
	var exported jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(mustAPI(t, dir, nil, "keys", "export", "--file", file)), &exported); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(published, exported); diff != "" {
		t.Error(diff)
	}
	checkPEM(t, mustAPI(t, dir, nil, "keys", "export", "--file", file, "--pem"), published.Keys)
	second := published.Keys[1]
	checkPEM(t, mustAPI(t, dir, nil, "keys", "export", "--file", file, "--pem", second.KeyID), []jose.JSONWebKey{second})
	secret := ring.Keys()[3].ID
	if r := api(t, nil, "keys", "export", "--file", file, "--pem", secret); r != (result{1, "", `api: there is no such public key: "` + secret + `"` + "\n"}) {
		t.Errorf("a secret key: %v", r)
	}

	settings := keysInDatabase(t)
	s := start(t, t.TempDir(), settings)
	_, jwks := s.Send(http.MethodGet, s.Public+"/.well-known/jwks.json", "", nil)
	if err := json.Unmarshal([]byte(jwks), &published); err != nil {
		t.Fatal(err)
	}
	checkPEM(t, mustAPI(t, t.TempDir(), settings, "keys", "export", "--pem"), published.Keys)
}

func checkPEM(t *testing.T, text string, want []jose.JSONWebKey) {
	t.Helper()
	rest := []byte(text)
	for _, key := range want {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "PUBLIC KEY" {
			t.Fatalf("no public key for %s in %s", key.KeyID, text)
		}
		got, err := x509.ParsePKIXPublicKey(block.Bytes)
		if diff := cmp.Diff(key.Key, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", key.KeyID, err, diff)
		}
		if !strings.Contains(text, key.KeyID+" "+key.Algorithm+"\n") {
			t.Errorf("%s is not named in %s", key.KeyID, text)
		}
	}
	if len(rest) > 0 {
		t.Errorf("more than that: %s", rest)
	}
}

// Replicas that start at once on a shared volume get the same keys.
func TestKeysInitAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()

	var wg sync.WaitGroup
	results := make([]result, 8)
	for i := range results {
		wg.Go(func() { results[i] = api(t, nil, "keys", "init", "--dir", dir, "--show") })
	}
	wg.Wait()

	made := 0
	for _, r := range results {
		made += strings.Count(r.stderr, "made ")
		if r.code != 0 || r.stdout != readFile(t, dir, "service-key") {
			t.Errorf("exit code %d: %s", r.code, r.stderr)
		}
	}
	if made != 2 {
		t.Errorf("%d files were made, want 2", made)
	}
	if diff := cmp.Diff([]string{"service-key", "signing-keys.json"}, entries(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestKeysGenerate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()

	// A set to a pipe, for each algorithm.
	for _, algorithm := range []string{"EdDSA", "ES256", "RS256", "PS256", "HS256"} {
		ring, err := tokens.ParseKeyRing([]byte(mustLine(t, nil, "keys", "generate", "--algorithm", algorithm)))
		if err != nil {
			t.Fatal(err)
		}
		if keys := ring.Keys(); len(keys) != 1 || keys[0].Algorithm != algorithm || !keys[0].Signs {
			t.Errorf("%s: %v", algorithm, keys)
		}
	}

	// A file that is made, and then grows at either end.
	file := filepath.Join(dir, "keys.json")
	var printed string
	for _, args := range [][]string{{}, {"--algorithm=EdDSA"}, {"--algorithm=HS256", "--first"}} {
		printed += mustLine(t, nil, append([]string{"keys", "generate", "--file", file}, args...)...)
		if args == nil {
			checkMode(t, file, 0o600)
		}
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	printed += mustLine(t, nil, "keys", "generate", "--file", file, "--algorithm=PS256")
	printed += mustLine(t, nil, "keys", "generate", "--file", file) // like the one that signs
	checkMode(t, file, 0o640)                                       // the service may read it through its group
	var algorithms []string
	for _, key := range listKeys(t, file) {
		algorithms = append(algorithms, key.Algorithm)
		if key.Signs != (len(algorithms) == 1) {
			t.Errorf("signs: %v", key)
		}
		if !strings.Contains(printed, "made key "+key.ID+" ("+key.Algorithm+") in "+file+"\n") {
			t.Errorf("nothing was said of %s", key.ID)
		}
	}
	if diff := cmp.Diff([]string{"HS256", "ES256", "EdDSA", "PS256", "HS256"}, algorithms); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	checkNoPrivatePart(t, file, printed)
}

func TestKeysList(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys.json")
	for _, algorithm := range []string{"EdDSA", "ES256", "RS256", "PS256", "HS256"} {
		mustLine(t, nil, "keys", "generate", "--file", file, "--algorithm", algorithm)
	}

	table := mustLine(t, nil, "keys", "list", "--file", file)
	if lines := strings.Split(table, "\n"); len(lines) != 7 || strings.Join(strings.Fields(lines[0]), " ") != "KEY ALGORITHM USE" ||
		!strings.HasSuffix(lines[1], "  EdDSA      signs") || !strings.HasSuffix(lines[5], "  HS256      verifies") {
		t.Errorf("table:\n%s", table)
	}
	if table != mustLine(t, env{"LATCHKEY_SIGNING_KEYS_FILE": file}, "keys", "list") {
		t.Error("LATCHKEY_SIGNING_KEYS_FILE gives another list")
	}
	checkNoPrivatePart(t, file, table+mustLine(t, nil, "keys", "list", "--file", file, "--json"))
}

func listKeys(t *testing.T, file string) []tokens.KeyInfo {
	t.Helper()
	var list struct {
		Keys []tokens.KeyInfo `json:"keys"`
	}
	if err := json.Unmarshal([]byte(mustLine(t, nil, "keys", "list", "--json", "--file", file)), &list); err != nil {
		t.Fatal(err)
	}
	return list.Keys
}

// checkNoPrivatePart looks for each part of each key that only its owner may know (RFC 7518 §6).
func checkNoPrivatePart(t *testing.T, file, printed string) {
	t.Helper()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal([]byte(readFile(t, file)), &set); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, key := range set.Keys {
		for _, part := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if secret, ok := key[part].(string); ok {
				checked++
				if strings.Contains(printed, secret) {
					t.Errorf("%s of a key was printed", part)
				}
			}
		}
	}
	if checked < len(set.Keys) {
		t.Errorf("only %d parts were looked for", checked)
	}
}

func checkMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != want {
		t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
	}
}
