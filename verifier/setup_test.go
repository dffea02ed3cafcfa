package verifier_test

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

const (
	issuer   = "https://auth.example.com"
	audience = "https://api.example.com"
	slack    = int64(verifier.Slack / time.Second)
)

func TestMain(m *testing.M) {
	if isReplica() {
		os.Exit(replica())
	}
	flag.Parse()
	if n := flag.Lookup("test.parallel"); n != nil && runtime.GOMAXPROCS(0) < 6 && n.Value.String() == n.DefValue {
		_ = n.Value.Set("6") // most of the time they wait
	}
	os.Exit(testdb.Main(m))
}

func newRing(tb testing.TB) *tokens.KeyRing {
	tb.Helper()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		tb.Fatal(err)
	}
	return parseRing(tb, `{"keys":[`+string(jwk)+`]}`)
}

func parseRing(tb testing.TB, jwks string) *tokens.KeyRing {
	tb.Helper()
	ring, err := tokens.ParseKeyRing([]byte(jwks))
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

func tokenConfig() tokens.Config { return tokens.Config{Issuer: issuer, Audience: audience} }

// clocks are a machine's, which a test sets.
type clocks struct {
	mu  sync.Mutex
	now verifier.Moment
}

func newClocks() *clocks {
	return &clocks{now: verifier.Moment{Mono: time.Hour, Wall: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}}
}

func (c *clocks) read() verifier.Moment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clocks) wall() time.Time { return c.read().Wall }

// pass lets time pass on both, jump on one.
func (c *clocks) pass(d time.Duration)     { c.jump(d, d) }
func (c *clocks) jumpWall(d time.Duration) { c.jump(0, d) }
func (c *clocks) jump(mono, wall time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Mono, c.now.Wall = c.now.Mono+mono, c.now.Wall.Add(wall)
}

// byHand is a source that a test plays itself.
type byHand struct {
	sets chan *verifier.Set // one each time that it is followed
}

func (b byHand) Follow(ctx context.Context, set *verifier.Set) error {
	b.sets <- set
	<-ctx.Done()
	return nil
}

// bench is a verifier whose source, clocks and strict answers are the test's.
type bench struct {
	*verifier.Verifier
	clocks *clocks
	signer *tokens.Signer
	source byHand
	set    *verifier.Set
	// strict is the answer of the strict check, asked how often it was
	// called.
	strict atomic.Pointer[error]
	asked  atomic.Int64
}

var errDown = errors.New("it is down")

func setup(t *testing.T, change ...func(*verifier.Config)) *bench {
	t.Helper()
	b := &bench{clocks: newClocks(), source: byHand{make(chan *verifier.Set, 1)}}
	b.answer(errDown)
	ring, cfg := newRing(t), tokenConfig()
	cfg.Now = func() time.Time { // as sessionstore does
		if clock, known := b.Clock(); known {
			return clock.Now
		}
		return b.clocks.wall()
	}
	checker, err := tokens.NewVerifier(ring, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if b.signer, err = tokens.NewSigner(ring, cfg); err != nil {
		t.Fatal(err)
	}
	config := verifier.Config{
		Now:    b.clocks.read,
		Logger: slog.New(slog.DiscardHandler),
		Strict: func(context.Context, string, tokens.Claims) error {
			b.asked.Add(1)
			return *b.strict.Load()
		},
	}
	for _, c := range change {
		c(&config)
	}
	if b.Verifier, err = verifier.New(checker, b.source, config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	b.set = <-b.source.sets
	return b
}

func (b *bench) answer(err error) { b.strict.Store(&err) }

// token signs an access token that expires after some time.
func (b *bench) token(t *testing.T, ttl time.Duration) (uuid.UUID, string) {
	t.Helper()
	return sign(t, b.signer, b.clocks.wall(), ttl)
}

func sign(tb testing.TB, signer *tokens.Signer, now time.Time, ttl time.Duration) (uuid.UUID, string) {
	tb.Helper()
	session := uuid.Must(uuid.NewV7())
	token, err := signer.Sign(tokens.Claims{
		Type: tokens.AccessToken, Subject: "ann", SessionID: session, TokenID: uuid.Must(uuid.NewV7()),
		IssuedAt: now, ExpiresAt: now.Add(ttl),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return session, string(token)
}

// load gives the set its beginning, and prove its next proof, both as of now.
func (b *bench) load(revoked ...verifier.Revocation) {
	now := b.set.Now()
	b.set.Apply(verifier.Batch{Reset: true, Sessions: revoked, Proof: now, Cursor: "loaded", From: now.Wall.Unix()})
}

func (b *bench) prove(revoked ...verifier.Revocation) {
	b.set.Apply(verifier.Batch{Sessions: revoked, Proof: b.set.Now(), Cursor: "proven"})
}

// revocation of a session whose last access token was issued now.
func (b *bench) revocation(session uuid.UUID, ttl time.Duration) verifier.Revocation {
	return verifier.Revocation{SessionID: session, Until: b.clocks.wall().Add(ttl).Unix() + slack}
}

// want fails the test unless the verifier's answer is this error, or none.
func (b *bench) want(t *testing.T, when, token string, want error) {
	t.Helper()
	claims, err := b.Verify(t.Context(), token)
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("%s: %v, want %v", when, err, want)
	}
	if err != nil && claims != (tokens.Claims{}) {
		t.Errorf("%s: claims with an error: %+v", when, claims)
	}
}
