package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

const serviceKey = "a-service-key-that-only-tests-have-0001"

// served is a service with both its listeners.
type served struct {
	*service
	public, internal *httptest.Server
	// broken are paths below which nothing is answered but 503.
	broken atomic.Pointer[[]string]
	keys   atomic.Int64 // how often the keys were fetched
}

func serve(t *testing.T, s *service) *served {
	t.Helper()
	v, err := s.Verifier(verifier.Config{Bound: bound, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	runVerifier(t, v)
	for v.Age() > bound {
		time.Sleep(time.Millisecond)
	}
	server, err := httpapi.New(s.Store, s.ring, httpapi.Config{
		Issuer: issuer, ServiceKeys: []httpapi.ServiceKey{{Name: "edge", Secret: serviceKey}},
		Verifier: v, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &served{service: s}
	r.breakDown()
	r.public, r.internal = r.listen(t, server.Public()), r.listen(t, server.Internal())
	return r
}

func (r *served) breakDown(paths ...string) { r.broken.Store(&paths) }

func (r *served) listen(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch {
		case slices.ContainsFunc(*r.broken.Load(), func(path string) bool { return strings.HasPrefix(q.URL.Path, path) }):
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case q.URL.Path == "/.well-known/jwks.json":
			r.keys.Add(1)
		}
		h.ServeHTTP(w, q)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

// where is how a remote verifier finds the service; internal is the URL to use.
func (r *served) where(internal string) verifier.RemoteConfig {
	return verifier.RemoteConfig{
		Tokens: tokenConfig(), Internal: internal, ServiceKey: serviceKey, Keys: r.public.URL + "/.well-known/jwks.json",
	}
}

// remoteOf starts a verifier that reaches the service by a URL. Unless its
// configuration says otherwise, there is nothing to ask about a token.
func (r *served) remoteOf(t *testing.T, internal string, change ...func(*verifier.RemoteConfig, *verifier.Config)) *verifier.Verifier {
	t.Helper()
	where := r.where(internal)
	cfg := verifier.Config{Bound: bound, Strict: nobody, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for _, c := range change {
		c(&where, &cfg)
	}
	v, err := verifier.NewRemote(where, cfg)
	if err != nil {
		t.Fatal(err)
	}
	runVerifier(t, v)
	return v
}

func (r *served) proxied(t *testing.T) (p *proxy, internal string) {
	t.Helper()
	p = newProxy(t, strings.TrimPrefix(r.internal.URL, "http://"))
	return p, "http://" + p.listener.Addr().String()
}

func introspects(_ *verifier.RemoteConfig, cfg *verifier.Config) { cfg.Strict = nil }

func TestRemote(t *testing.T) {
	t.Parallel()
	r := serve(t, newService(t))
	v := r.remoteOf(t, r.internal.URL)
	_, live := r.session(t)
	var longest time.Duration
	for range 20 {
		session, token := r.session(t)
		await(t, "a new session", v, token, nil)
		w := watchTokens(t, v, token)
		time.Sleep(2 * time.Millisecond)
		revoked := r.revoke(t, session)
		await(t, "a revoked session", v, token, verifier.ErrRevoked)
		longest = max(longest, w.longest(t, map[string]time.Time{token: revoked}))
	}
	if longest > bound {
		t.Errorf("a revoked token was accepted for %v", longest)
	}
	await(t, "another session", v, live, nil)
	if _, err := v.Verify(t.Context(), live+"x"); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("a changed token: %v", err)
	}
}

// The network to the service fails in various ways: no token is accepted past the bound.
func TestRemoteAndTheNetwork(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(*proxy) (repair func()){
		"the feed's connection is half-open": func(p *proxy) func() { p.freezeAll(false); return func() {} },
		"it is cut":                          func(p *proxy) func() { p.cut(); return func() {} },
		"the service is away": func(p *proxy) func() {
			p.setDown(true)
			p.cut()
			return func() { p.setDown(false) }
		},
		"events are held back": func(p *proxy) func() {
			p.setLag(1500 * time.Millisecond)
			return func() { p.setLag(0); p.cut() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serve(t, newService(t))
			p, internal := r.proxied(t)
			v := r.remoteOf(t, internal)
			session, token := r.session(t)
			_, live := r.session(t)
			await(t, "a new session", v, token, nil)
			w := watchTokens(t, v, token, live)
			repair := disturb(p)
			revoked := r.revoke(t, session)
			time.Sleep(3 * bound / 2)
			repair()
			await(t, "revoked", v, token, verifier.ErrRevoked)
			await(t, "live", v, live, nil)
			w.wantWithin(t, map[string]time.Time{token: revoked})
		})
	}
}

// Without the feed each token is asked about.
func TestRemoteAsks(t *testing.T) {
	t.Parallel()
	r := serve(t, newService(t))
	r.breakDown("/v1/revocations")
	v := r.remoteOf(t, r.internal.URL, introspects)
	session, token := r.session(t)
	await(t, "live", v, token, nil)
	r.revoke(t, session)
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, verifier.ErrRevoked) {
		t.Errorf("revoked: %v", err)
	}
	if v.Age() < time.Hour {
		t.Error("the feed is not broken")
	}
	for _, path := range []string{"/oauth2", "/"} {
		r.breakDown("/v1/revocations", path)
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, verifier.ErrUnavailable) {
			t.Errorf("%s broken: %v", path, err)
		}
	}
}

// A verifier without the key gets no feed, and accepts nothing.
func TestRemoteWithAWrongKey(t *testing.T) {
	t.Parallel()
	r := serve(t, newService(t))
	v := r.remoteOf(t, r.internal.URL, introspects, func(where *verifier.RemoteConfig, _ *verifier.Config) {
		where.ServiceKey = "another-service-key-that-nobody-has-1"
	})
	_, token := r.session(t)
	time.Sleep(100 * time.Millisecond)
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, verifier.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// A set of many parts arrives, even over a network that breaks in the middle, and
// from a service that is another process from then on.
func TestRemoteLoadsInParts(t *testing.T) {
	t.Parallel()
	s := newService(t)
	const n = 21_000
	s.exec(t, `INSERT INTO "sessionStore" ("id", "checksum", "data", "revokedAt") SELECT gen_random_uuid(), '', '{}', now() FROM generate_series(1, $1)`, n)
	session, token := s.session(t)
	_, live := s.session(t)
	revoked := s.revoke(t, session)
	first, second := serve(t, s), serve(t, s)
	p, internal := first.proxied(t)
	p.setPace(20 * time.Millisecond)
	v := first.remoteOf(t, internal)
	w := watchTokens(t, v, token, live)
	for i := range 3 {
		time.Sleep(300 * time.Millisecond)
		if v.Len() > 0 {
			t.Errorf("%d: it has all already", i)
		}
		if i == 1 {
			p.point(strings.TrimPrefix(second.internal.URL, "http://"))
		}
		p.cut()
	}
	p.setPace(0)
	await(t, "live", v, live, nil)
	await(t, "revoked", v, token, verifier.ErrRevoked)
	if got := v.Len(); got != n+1 {
		t.Errorf("%d revoked sessions, want %d", got, n+1)
	}
	if longest := w.longest(t, map[string]time.Time{token: revoked}); longest > 0 {
		t.Errorf("a revoked token was accepted for %v", longest)
	}
}

// An event that takes longer to arrive than a feed may be silent is read to its end: the network is slow, and not silent.
func TestRemoteOverASlowNetwork(t *testing.T) {
	t.Parallel()
	const event = `data: {"cursor":"a","reset":true,"sessions":[{"id":"01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91","until":4102444800}],"complete_ms":0,"from":1}` + "\n\n"
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/v1/revocations" {
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		began := time.Now()
		for i := range event { // at the end after one and a half times what may be silent
			time.Sleep(time.Until(began.Add(time.Duration(i) * 3 * time.Second / time.Duration(len(event)))))
			if _, err := w.Write([]byte{event[i]}); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush() // the next one says whether the client has gone
		}
		<-q.Context().Done()
	}))
	t.Cleanup(slow.Close)
	v, err := verifier.NewRemote(
		verifier.RemoteConfig{Tokens: tokenConfig(), Internal: slow.URL, ServiceKey: serviceKey, Keys: slow.URL},
		verifier.Config{Strict: nobody, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	runVerifier(t, v)
	for began := time.Now(); v.Len() == 0; time.Sleep(pollEvery) {
		if time.Since(began) > patience {
			t.Fatalf("nothing has arrived after %v", time.Since(began))
		}
	}
}

// A wall clock that jumps forward makes all proofs of a stream look old; another
// stream's do not.
func TestRemoteAfterAClockThatJumped(t *testing.T) {
	t.Parallel()
	r := serve(t, newService(t))
	var ahead atomic.Int64
	v := r.remoteOf(t, r.internal.URL, func(_ *verifier.RemoteConfig, cfg *verifier.Config) {
		cfg.Now = func() verifier.Moment {
			now := verifier.Now()
			now.Wall = now.Wall.Add(time.Duration(ahead.Load()))
			return now
		}
	})
	_, token := r.session(t)
	await(t, "before", v, token, nil)
	ahead.Store(int64(10 * time.Second))
	await(t, "the jump", v, token, verifier.ErrUnavailable)
	await(t, "afterwards", v, token, nil)
}

// A new key is fetched when a token names it, and an old one is dropped. Tokens
// cannot cause fetches of the keys at will.
func TestRemoteKeys(t *testing.T) {
	t.Parallel()
	var set atomic.Pointer[string]
	var fetched, failing atomic.Int64
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		if failing.Load() > 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprint(w, *set.Load())
	}))
	defer keys.Close()
	old, fresh := newRing(t), newRing(t)
	publish := func(ring *tokens.KeyRing) { text := string(ring.PublicJWKS()); set.Store(&text) }
	publish(old)
	live := func(ring *tokens.KeyRing) string {
		signer, err := tokens.NewSigner(ring, tokenConfig())
		if err != nil {
			t.Fatal(err)
		}
		_, token := sign(t, signer, time.Now(), time.Hour)
		return token
	}
	where := verifier.RemoteConfig{Tokens: tokenConfig(), Internal: "http://127.0.0.1:1", ServiceKey: serviceKey, Keys: keys.URL}
	v, err := verifier.NewRemote(where, verifier.Config{Strict: func(context.Context, string, tokens.Claims) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	verifier.SetKeysClock(v, func() time.Time { return clock })
	want := func(what, token string, want error) {
		t.Helper()
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	// It does not run, so that only tokens have the keys fetched.
	failing.Store(1)
	want("no keys yet", live(old), verifier.ErrUnavailable)
	failing.Store(0)
	clock = clock.Add(time.Second - 1)
	want("soon after", live(old), verifier.ErrUnavailable)
	clock = clock.Add(1)
	want("the keys are there", live(old), nil)
	before := fetched.Load()
	for range 100 {
		want("a key that nobody has", live(newRing(t)), tokens.ErrInvalid)
	}
	want("no key at all", "x.y.z", tokens.ErrInvalid)
	if n := fetched.Load() - before; n != 0 {
		t.Errorf("the keys were fetched %d times for unknown tokens", n)
	}
	publish(fresh)
	clock = clock.Add(5*time.Second - 1)
	want("the new key, too soon", live(fresh), tokens.ErrInvalid)
	clock = clock.Add(1)
	want("the old key", live(old), nil) // nothing had the keys fetched yet
	want("the new key", live(fresh), nil)
	want("the old key is gone", live(old), tokens.ErrInvalid)
}

func TestRemoteConfig(t *testing.T) {
	t.Parallel()
	good := verifier.RemoteConfig{Tokens: tokenConfig(), Internal: "http://localhost:8081", ServiceKey: serviceKey}
	if _, err := verifier.NewRemote(good, verifier.Config{}); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*verifier.RemoteConfig){
		"no issuer":     func(c *verifier.RemoteConfig) { c.Tokens.Issuer = "" },
		"no audience":   func(c *verifier.RemoteConfig) { c.Tokens.Audience = "" },
		"no key":        func(c *verifier.RemoteConfig) { c.ServiceKey = "" },
		"no listener":   func(c *verifier.RemoteConfig) { c.Internal = "" },
		"a strange one": func(c *verifier.RemoteConfig) { c.Internal = "ftp://x" },
		"keys nowhere":  func(c *verifier.RemoteConfig) { c.Keys = "x" },
		"no host":       func(c *verifier.RemoteConfig) { c.Internal = "http://" },
		"no URL":        func(c *verifier.RemoteConfig) { c.Internal = "http://[::1" },
	} {
		bad := good
		change(&bad)
		if _, err := verifier.NewRemote(bad, verifier.Config{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if v, err := verifier.NewRemote(good, verifier.Config{Bound: -1}); v != nil || err == nil {
		t.Error("a negative bound: no error")
	}
	// The service says which shards it has.
	if v, err := verifier.NewRemote(good, verifier.Config{Shards: map[int]verifier.Source{1: byHand{}}}); err != nil || len(v.Shards()) != 0 {
		t.Errorf("shards of one's own: %v, %v", v.Shards(), err)
	}

	asked := ""
	good.Transport = transport(func(r *http.Request) (*http.Response, error) {
		asked = r.URL.String()
		return nil, errors.New("no network")
	})
	v, err := verifier.NewRemote(good, verifier.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, token := setup(t).token(t, time.Hour)
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, verifier.ErrUnavailable) || asked != good.Tokens.Issuer+"/.well-known/jwks.json" {
		t.Errorf("%v, after a question to %q", err, asked)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// The service key goes to the service alone, whatever it answers.
func TestRemoteFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	var stolen, sent atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	defer thief.Close()
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, thief.URL, http.StatusTemporaryRedirect)
		sent.Add(1)
	}))
	defer moved.Close()
	where := verifier.RemoteConfig{Tokens: tokenConfig(), Internal: moved.URL, ServiceKey: serviceKey, Keys: moved.URL}
	v, err := verifier.NewRemote(where, verifier.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	runVerifier(t, v)
	for began := time.Now(); sent.Load() < 4; time.Sleep(time.Millisecond) { // each was followed, or not, before the next
		if time.Since(began) > patience {
			t.Fatal("it does not try again")
		}
	}
	if n := stolen.Load(); n > 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
}
