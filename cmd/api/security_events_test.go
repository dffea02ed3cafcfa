package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// A receiver that knows the issuer alone finds the key with which the Security Event Tokens that it
// is sent are signed.
func TestSecurityEventTokensAreSent(t *testing.T) {
	t.Parallel()
	sets := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Content-Type") != "application/secevent+jwt" || r.Header.Get("Authorization") != "" {
			t.Errorf("%v %v", r.Header, err)
		}
		w.WriteHeader(http.StatusAccepted)
		sets <- string(body)
	}))
	defer receiver.Close()
	file := writeFile(t, `[{"name":"crm","url":"`+receiver.URL+`","format":"set","audience":"https://crm.example.com"}]`, t.TempDir(), "events.json")
	s := start(t, t.TempDir(), configure(t, testdb.URL(t)).With(env{"LATCHKEY_EVENTS_FILE": file}))

	var metadata struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	var keys jose.JSONWebKeySet
	get := func(path string, into any) {
		t.Helper()
		code, answer := s.Send(http.MethodGet, s.Public+path, "", nil)
		if err := json.Unmarshal([]byte(answer), into); code != http.StatusOK || err != nil {
			t.Fatalf("%s: %d %s", path, code, answer)
		}
	}
	get("/.well-known/ssf-configuration", &metadata)
	path, found := strings.CutPrefix(metadata.JWKSURI, metadata.Issuer)
	if !found {
		t.Fatalf("%+v", metadata)
	}
	get(path, &keys)

	var set string
	for deadline := time.Now().Add(time.Minute); set == ""; {
		s.CreateSession(testKey, `{"subject":"ada"}`) // the first ones may be created before any are sent
		select {
		case set = <-sets:
		case <-time.After(2 * time.Second):
			if time.Now().After(deadline) {
				t.Fatal("nothing was reported")
			}
		}
	}
	signed, err := jose.ParseSignedCompact(set, []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(keys.Key(signed.Signatures[0].Header.KeyID)[0])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil || claims["iss"] != metadata.Issuer || claims["aud"] != "https://crm.example.com" {
		t.Errorf("%s %v", payload, err)
	}
}

// Without a receiver there is no metadata, and if no receiver could verify the tokens, the service does not start.
func TestNoSecurityEventTokens(t *testing.T) {
	t.Parallel()
	settings, dir := configure(t, testdb.URL(t)), t.TempDir()
	s := start(t, dir, settings)
	if code, answer := s.Send(http.MethodGet, s.Public+"/.well-known/ssf-configuration", "", nil); code != http.StatusNotFound {
		t.Errorf("%d %s", code, answer)
	}
	settings = settings.With(env{
		"LATCHKEY_EVENTS_FILE":       writeFile(t, `[{"name":"crm","url":"https://crm.example.com","format":"set","audience":"crm"}]`, dir, "events.json"),
		"LATCHKEY_SIGNING_KEYS_FILE": writeFile(t, mustLine(t, nil, "keys", "generate", "--algorithm=HS256"), dir, "hmac.json"),
	})
	if r := api(t, settings, "serve"); r.code == 0 || !strings.Contains(r.stderr, `LATCHKEY_EVENTS_FILE has an endpoint with "format": "set", but the signing key is an HMAC key`) {
		t.Errorf("%+v", r)
	}
}
