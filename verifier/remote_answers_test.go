package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// answers is a service whose answers a test writes.
type answers struct {
	*httptest.Server
	ring *tokens.KeyRing
	// keys, introspection and feed answer; nil answers as a service that has nothing to say.
	keys, introspection, feed http.HandlerFunc
}

func newAnswers(t *testing.T) *answers {
	t.Helper()
	a := &answers{ring: newRing(t)}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := map[string]http.HandlerFunc{"/keys": a.keys, "/oauth2/introspect": a.introspection, "/v1/revocations": a.feed}[r.URL.Path]
		switch {
		case answer != nil:
			answer(w, r)
		case r.URL.Path == "/keys":
			_, _ = w.Write(a.ring.PublicJWKS())
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

// remote is a verifier that asks the service. It does not run.
func (a *answers) remote(t *testing.T, change ...func(*verifier.Config)) *verifier.Verifier {
	t.Helper()
	cfg := verifier.Config{StrictTimeout: patience, Logger: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	v, err := verifier.NewRemote(verifier.RemoteConfig{Tokens: tokenConfig(), Internal: a.URL + "/", ServiceKey: serviceKey, Keys: a.URL + "/keys"}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (a *answers) token(t *testing.T, ring *tokens.KeyRing) string {
	t.Helper()
	signer, err := tokens.NewSigner(ring, tokenConfig())
	if err != nil {
		t.Fatal(err)
	}
	_, token := sign(t, signer, time.Now(), time.Hour)
	return token
}

// RFC 7662 §2.2: only what says so is an answer; anything else says nothing about the token.
func TestIntrospectionAnswers(t *testing.T) {
	t.Parallel()
	a := newAnswers(t)
	v, token := a.remote(t), a.token(t, a.ring)
	long := strings.Repeat("x", 4<<20)
	for name, test := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"active":                  {200, `{"active":true,"sub":"ann"}`, nil},
		"not active":              {200, `{"active":false}`, verifier.ErrRevoked},
		"nothing said":            {200, `{}`, verifier.ErrUnavailable},
		"null":                    {200, `{"active":null}`, verifier.ErrUnavailable},
		"a text":                  {200, `{"active":"true"}`, verifier.ErrUnavailable},
		"a list":                  {200, `[]`, verifier.ErrUnavailable},
		"empty":                   {200, ``, verifier.ErrUnavailable},
		"cut off":                 {200, `{"active":true`, verifier.ErrUnavailable},
		"a byte more than read":   {200, `{"active":true,"data":"` + long[len(`{"active":true,"data":""}`)-1:] + `"}`, verifier.ErrUnavailable},
		"broken off":              {0, ``, verifier.ErrUnavailable},
		"as long as is read":      {200, `{"active":true,"data":"` + long[len(`{"active":true,"data":""}`):] + `"}`, nil},
		"created":                 {201, `{"active":true}`, verifier.ErrUnavailable},
		"not permitted":           {403, `{"active":false}`, verifier.ErrUnavailable},
		"a fault of the service":  {500, `{"active":true}`, verifier.ErrUnavailable},
		"overloaded, and a state": {503, `{"active":false}`, verifier.ErrUnavailable},
	} {
		a.introspection = func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer "+serviceKey ||
				r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.PostFormValue("token") != token {
				t.Errorf("%s: %s, %v", name, r.Method, r.Header)
			}
			if test.status == 0 {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		}
		if claims, err := v.Verify(t.Context(), token); !errors.Is(err, test.want) || test.want == nil && err != nil || err != nil && claims != (tokens.Claims{}) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// An answer that is not a set of keys leaves the keys as they are, and says nothing about a token
// with another one.
func TestKeysAnswers(t *testing.T) {
	t.Parallel()
	a, clock := newAnswers(t), time.Now()
	v := a.remote(t, func(c *verifier.Config) {
		c.Strict = func(context.Context, string, tokens.Claims) error { return nil }
	})
	verifier.SetKeysClock(v, func() time.Time { return clock })
	known, unknown := a.token(t, a.ring), a.token(t, newRing(t))
	var asked []string
	a.keys = func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, fmt.Sprintf("%q", r.Header.Values("If-None-Match")))
		w.Header().Set("ETag", `"one"`)
		_, _ = w.Write(a.ring.PublicJWKS())
	}
	if _, err := v.Verify(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		status int
		body   string
		want   error
	}{
		{"as before", 304, "", tokens.ErrInvalid},
		{"no keys", 200, `{"keys":[]}`, verifier.ErrUnavailable},
		{"no set", 200, `[]`, verifier.ErrUnavailable},
		{"empty", 200, ``, verifier.ErrUnavailable},
		{"a byte longer than is read", 200, strings.Repeat(" ", 4<<20+1-len(a.ring.PublicJWKS())) + string(a.ring.PublicJWKS()), verifier.ErrUnavailable},
		{"not found", 404, string(a.ring.PublicJWKS()), verifier.ErrUnavailable},
		{"a fault", 500, string(a.ring.PublicJWKS()), verifier.ErrUnavailable},
		{"the same again", 200, string(a.ring.PublicJWKS()), tokens.ErrInvalid},
	} {
		clock = clock.Add(time.Minute)
		a.keys = func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, fmt.Sprintf("%q", r.Header.Values("If-None-Match")))
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		}
		if _, err := v.Verify(t.Context(), unknown); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if _, err := v.Verify(t.Context(), known); err != nil {
			t.Errorf("%s, a token of a known key: %v", test.name, err)
		}
	}
	const one = `["\"one\""]`
	if diff := cmp.Diff([]string{"[]", one, one, one, one, one, one, one, one}, asked); diff != "" {
		t.Errorf("If-None-Match: %s", diff)
	}
}

// The keys are not fetched for what no key of the service can have signed, however often it
// comes.
func TestTokensThatFetchNoKeys(t *testing.T) {
	t.Parallel()
	a, clock := newAnswers(t), time.Now()
	v := a.remote(t, func(c *verifier.Config) {
		c.Strict = func(context.Context, string, tokens.Claims) error { return nil }
	})
	verifier.SetKeysClock(v, func() time.Time { return clock })
	known := a.token(t, a.ring)
	var asked atomic.Int64
	a.keys = func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write(a.ring.PublicJWKS())
	}
	if _, err := v.Verify(t.Context(), known); err != nil || asked.Load() != 1 {
		t.Fatal(asked.Load(), err)
	}
	header, rest, _ := strings.Cut(a.token(t, newRing(t)), ".")
	for name, token := range map[string]string{
		"a changed signature": known[:len(known)-4] + "AAAA", "nothing": "", "no base64": "#." + rest, "no JSON": "eA." + rest, "no kid": "e30." + rest,
		"too long": header + "." + strings.Repeat("x", tokens.MaxTokenBytes) + "." + rest,
	} {
		clock = clock.Add(time.Minute)
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, tokens.ErrInvalid) || asked.Load() != 1 {
			t.Errorf("%s: %v; the keys were fetched %d times", name, err, asked.Load())
		}
	}
}

// The feed is asked for once more when it ends, from where it ended.
func TestFeedRequests(t *testing.T) {
	t.Parallel()
	a := newAnswers(t)
	requests := make(chan http.Header, 100)
	var connections atomic.Int64
	a.feed = func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Header.Clone()
		if connections.Add(1) == 1 {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			_, _ = io.WriteString(w, ": a comment\nid: ignored\n"+`data: {"cursor":"c1","reset":true,"complete_ms":0}`+"\n\n")
			return
		}
		tell(w, r, `{"cursor":"c2","complete_ms":0}`)
	}
	v := a.remote(t, func(c *verifier.Config) { c.Strict = nobody })
	runVerifier(t, v)
	for i, cursor := range []string{"", "c1"} {
		select {
		case got := <-requests:
			if got.Get("Authorization") != "Bearer "+serviceKey || got.Get("Last-Event-Id") != cursor {
				t.Errorf("request %d: %v, want one after %q", i+1, got, cursor)
			}
		case <-time.After(patience):
			t.Fatalf("there was no request %d", i+1)
		}
	}
	awaitProof(t, v)
}

// tell answers as a feed with one event.
func tell(w http.ResponseWriter, r *http.Request, event string) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = fmt.Fprintf(w, "data: %s\n\n", event)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// Each shard that the service has is followed by its own feed.
func TestRemoteFollowsEachShard(t *testing.T) {
	t.Parallel()
	a := newAnswers(t)
	ended, err := sessionid.New(2)
	if err != nil {
		t.Fatal(err)
	}
	a.feed = func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.RawQuery {
		case "":
			tell(w, r, `{"cursor":"a","reset":true,"complete_ms":0,"shards":[2]}`)
		case "shard=2":
			tell(w, r, fmt.Sprintf(`{"cursor":"b","reset":true,"complete_ms":0,"sessions":[{"id":%q,"until":%d}]}`, ended, time.Now().Add(time.Hour).Unix()))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}
	v := a.remote(t, func(c *verifier.Config) { c.Strict, c.Bound = nobody, time.Hour })
	runVerifier(t, v)
	signer, err := tokens.NewSigner(a.ring, tokenConfig())
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.Sign(tokens.Claims{
		Type: tokens.AccessToken, Subject: "ann", SessionID: ended, TokenID: uuid.New(), IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Minute),
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "of the second shard", v, string(token), verifier.ErrRevoked)
	await(t, "of the first", v, a.token(t, a.ring), nil)
}

// Tokens expire by the database's clock, which the feed tells.
func TestRemoteKnowsTheDatabasesTime(t *testing.T) {
	t.Parallel()
	a := newAnswers(t)
	database := time.Now().Add(-90 * time.Minute)
	a.feed = func(w http.ResponseWriter, r *http.Request) {
		tell(w, r, fmt.Sprintf(`{"cursor":"a","reset":true,"complete_ms":0,"now":%d}`, database.UnixMilli()))
	}
	v := a.remote(t, func(c *verifier.Config) { c.Strict, c.Bound = nobody, time.Hour })
	signer, err := tokens.NewSigner(a.ring, tokenConfig())
	if err != nil {
		t.Fatal(err)
	}
	_, token := sign(t, signer, database, time.Hour)
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, tokens.ErrExpired) {
		t.Errorf("by the clock of this machine: %v", err)
	}
	runVerifier(t, v)
	await(t, "by the database's", v, token, nil)
}
