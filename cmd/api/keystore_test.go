package main_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// sealingKey is a LATCHKEY_KEY_ENCRYPTION_KEY.
func sealingKey(letter string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32)))
}

// keysInDatabase returns the settings of a service whose signing keys are in its database.
func keysInDatabase(t *testing.T) env {
	t.Helper()
	settings := configure(t, testdb.URL(t))
	settings["LATCHKEY_SIGNING_KEYS_FILE"] = ""
	settings["LATCHKEY_KEY_ENCRYPTION_KEY"] = sealingKey("a")
	return settings
}

// publishedKeys returns the ids of the keys that the service publishes, and what it says about
// them.
func (s *service) publishedKeys() (kids []string, etag, cacheControl string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.Public+"/.well-known/jwks.json", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
			D  string `json:"d"`
		} `json:"keys"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&set); err != nil {
		s.t.Fatal(err)
	}
	for _, key := range set.Keys {
		if key.D != "" {
			s.t.Fatal("a private key was published")
		}
		kids = append(kids, key.ID)
	}
	return kids, answer.Header.Get("ETag"), answer.Header.Get("Cache-Control")
}

// signer is the kid of a token's header.
func signer(t *testing.T, token string) string {
	t.Helper()
	segment, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(segment)
	var header struct {
		ID string `json:"kid"`
	}
	if err != nil || json.Unmarshal(text, &header) != nil {
		t.Fatalf("not a token: %s", token)
	}
	return header.ID
}

// keyIn finds the key that a command has printed.
func keyIn(t *testing.T, printed string) string {
	t.Helper()
	id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).FindString(printed)
	if id == "" {
		t.Fatalf("no key in %q", printed)
	}
	return id
}

// Two running services change over with a rotation, which logs nobody out.
func TestRotationReachesRunningServices(t *testing.T) {
	t.Parallel()
	settings := keysInDatabase(t)
	dir := t.TempDir()
	one, other := start(t, dir, settings), start(t, dir, settings)
	before := one.CreateSession(testKey, `{"data":{}}`)
	first := signer(t, before.AccessToken)
	_, etag, cacheControl := one.publishedKeys()
	if cacheControl != "public, max-age=300" {
		t.Errorf("copies of the keys: %s", cacheControl)
	}

	printed := mustLine(t, settings, "keys", "rotate")
	second := keyIn(t, printed)
	m := regexp.MustCompile(`^made key \S+ \(ES256\): it signs from (\S+)\n$`).FindStringSubmatch(printed)
	if m == nil {
		t.Fatalf("rotate printed %q", printed)
	}
	if from, err := time.Parse(time.RFC3339, m[1]); err != nil || time.Until(from) < 2*300*time.Second {
		t.Errorf("it signs from %s, which is too soon for copies of five minutes", m[1])
	}
	if again := mustLine(t, settings, "keys", "rotate"); again != strings.Replace(printed, "made", "there already is", 1) {
		t.Errorf("a second rotation printed %q", again)
	}
	for _, s := range []*service{one, other} {
		s.Await("the published key", func() bool { kids, _, _ := s.publishedKeys(); return len(kids) == 2 })
	}
	if _, changed, _ := one.publishedKeys(); changed == etag {
		t.Error("the key set changed, its ETag did not")
	}
	if kid := signer(t, one.CreateSession(testKey, `{"data":{}}`).AccessToken); kid != first {
		t.Errorf("signed by %s before its time", kid)
	}

	if got := mustLine(t, settings, "keys", "rotate", "--now"); got != "there already is key "+second+" (ES256): it signs now\n" {
		t.Errorf("rotate --now printed %q", got)
	}
	var after testservice.Pair
	one.Await("the new signature", func() bool {
		after = one.CreateSession(testKey, `{"data":{}}`)
		return signer(t, after.AccessToken) == second
	})
	// A replica that has not been notified of the key yet looks for it.
	for name, pair := range map[string]testservice.Pair{"before": before, "after": after} {
		if code := other.Current(pair.AccessToken); code != http.StatusOK {
			t.Errorf("%s: the other service answers %d", name, code)
		}
		if code, answer := other.Refresh(pair.RefreshToken); code != http.StatusOK {
			t.Errorf("%s: a refresh is answered with %d %s", name, code, answer)
		}
	}

	listed := mustLine(t, settings, "keys", "list")
	if !regexp.MustCompile(`(?m)^`+second+` +ES256 +signs `).MatchString(listed) || !regexp.MustCompile(`(?m)^`+first+` +ES256 +verifies `).MatchString(listed) {
		t.Errorf("listed:\n%s", listed)
	}
	if got := mustLine(t, settings, "keys", "list", "--json"); !strings.Contains(got, `"state": "signs"`) || strings.Contains(got, "sealed") {
		t.Errorf("listed: %s", got)
	}

	if got, want := mustLine(t, settings, "keys", "revoke", first), "revoked key "+first+"; key "+second+" (ES256) signs now\n"; got != want {
		t.Errorf("revoke printed %q, want %q", got, want)
	}
	for _, s := range []*service{one, other} {
		s.Await("refusal", func() bool { return s.Current(before.AccessToken) == http.StatusUnauthorized })
	}
	if code := one.Current(one.CreateSession(testKey, `{"data":{}}`).AccessToken); code != http.StatusOK {
		t.Errorf("afterwards a session answers %d", code)
	}
	for _, s := range []*service{one, other} {
		if printed := s.Stderr.String(); strings.Contains(printed, settings["LATCHKEY_KEY_ENCRYPTION_KEY"]) || strings.Contains(printed, `"d"`) {
			t.Errorf("a key was logged:\n%s", printed)
		}
	}
}

// A service that has its keys in a file moves them to the database, while a replica still has them in the file.
func TestKeysMoveFromFile(t *testing.T) {
	t.Parallel()
	settings := configure(t, testdb.URL(t))
	dir := t.TempDir()
	file := start(t, dir, settings)
	before := file.CreateSession(testKey, `{"data":{}}`)

	settings["LATCHKEY_KEY_ENCRYPTION_KEY"] = sealingKey("a")
	database := start(t, dir, settings)
	moved := database.CreateSession(testKey, `{"data":{}}`)
	if signer(t, moved.AccessToken) != signer(t, before.AccessToken) {
		t.Error("another key signs")
	}
	for _, s := range []*service{file, database} {
		for _, pair := range []testservice.Pair{before, moved} {
			if code := s.Current(pair.AccessToken); code != http.StatusOK {
				t.Errorf("a session answers %d", code)
			}
		}
	}
	settings["LATCHKEY_SIGNING_KEYS_FILE"] = ""
	if code, answer := start(t, dir, settings).Refresh(before.RefreshToken); code != http.StatusOK {
		t.Errorf("without the file a refresh is answered with %d %s", code, answer)
	}
}

func TestKeyAlgorithm(t *testing.T) {
	t.Parallel()
	settings := keysInDatabase(t)
	settings["LATCHKEY_KEY_ALGORITHM"] = "EdDSA"
	s := start(t, t.TempDir(), settings)
	pair := s.CreateSession(testKey, `{"data":{}}`)
	if code := s.Current(pair.AccessToken); code != http.StatusOK {
		t.Errorf("a session answers %d", code)
	}
	if listed := mustLine(t, settings, "keys", "list"); !strings.Contains(listed, signer(t, pair.AccessToken)+"  EdDSA      signs") {
		t.Errorf("listed:\n%s", listed)
	}
	// Without a given algorithm, the next key is like the last, even if that has leaked.
	settings["LATCHKEY_KEY_ALGORITHM"] = ""
	for _, args := range [][]string{{"rotate", "--now"}, {"revoke", signer(t, pair.AccessToken)}} {
		if printed := mustLine(t, settings, append([]string{"keys"}, args...)...); !strings.Contains(printed, "(EdDSA)") {
			t.Errorf("%v: %s", args, printed)
		}
	}
}

func TestKeysInDatabaseFailures(t *testing.T) {
	t.Parallel()
	settings := keysInDatabase(t)

	const none = "api: there is no signing key in the database yet: `api serve` makes the first one when it starts\n"
	if r := line(settings, "keys", "rotate"); r != (result{1, "", none}) {
		t.Errorf("without a key: %v", r)
	}
	start(t, t.TempDir(), settings)
	if r := line(settings, "keys", "revoke", "nobody"); r != (result{1, "", "api: revoke a signing key: no such signing key: \"nobody\"\n"}) {
		t.Errorf("an unknown key: %v", r)
	}

	wrong := settings.With(env{"LATCHKEY_KEY_ENCRYPTION_KEY": sealingKey("b"), "LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"})
	for _, args := range [][]string{{"serve"}, {"keys", "rotate", "--now"}} {
		r := line(wrong, args...)
		if r.code != 1 || !strings.HasPrefix(r.stderr, "api: LATCHKEY_KEY_ENCRYPTION_KEY is not the one that the signing keys in the database were sealed with: ") ||
			strings.Count(r.stderr, "\n") != 1 || strings.Contains(r.stderr, wrong["LATCHKEY_KEY_ENCRYPTION_KEY"]) {
			t.Errorf("%v with another key: %v", args, r)
		}
	}
	unset := settings.With(env{"LATCHKEY_KEY_ENCRYPTION_KEY": ""})
	if r := line(unset, "keys", "rotate"); r.code != 2 || !strings.HasPrefix(r.stderr, "api: LATCHKEY_KEY_ENCRYPTION_KEY is not set; it must be 32 random bytes in base64") {
		t.Errorf("without LATCHKEY_KEY_ENCRYPTION_KEY: %v", r)
	}
}
