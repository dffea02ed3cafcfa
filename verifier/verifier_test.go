package verifier_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, live := b.token(t, time.Hour)
	session, token := b.token(t, time.Hour)
	b.load()
	b.want(t, "live", live, nil)
	b.want(t, "not revoked yet", token, nil)
	b.prove(b.revocation(session, time.Hour))
	b.want(t, "revoked", token, verifier.ErrRevoked)
	b.want(t, "another session", live, nil)
	b.want(t, "not a token", "x", tokens.ErrInvalid)
	b.want(t, "a changed token", live[:len(live)-2]+"xx", tokens.ErrInvalid)
	b.clocks.pass(2 * time.Hour)
	b.prove()
	b.want(t, "expired", live, tokens.ErrExpired)
	if n := b.asked.Load(); n != 0 {
		t.Errorf("there were %d requests", n)
	}
}

// A resource server decides by the session's own claims, without a request.
func TestClaims(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load()
	custom, err := tokens.CustomClaims([]byte(`{"role":"editor","teams":["a","b"],"Plan":"free"}`))
	if err != nil {
		t.Fatal(err)
	}
	token, err := b.signer.Sign(tokens.Claims{
		Type: tokens.AccessToken, Subject: "ann", SessionID: uuid.Must(uuid.NewV7()), TokenID: uuid.Must(uuid.NewV7()),
		IssuedAt: b.clocks.wall(), ExpiresAt: b.clocks.wall().Add(time.Hour), Custom: custom,
	})
	if err != nil {
		t.Fatal(err)
	}
	claims, err := b.Verify(t.Context(), string(token))
	if err != nil {
		t.Fatal(err)
	}
	type own struct {
		Role  string   `json:"role"`
		Teams []string `json:"teams"`
		Plan  string   `json:"plan"`
	}
	got, err := verifier.Claims[own](claims)
	if diff := cmp.Diff(own{Role: "editor", Teams: []string{"a", "b"}}, got); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
	if _, err := verifier.Claims[struct {
		Role int `json:"role"`
	}](claims); err == nil {
		t.Error("a string is taken for a number")
	}
	if none, err := verifier.Claims[own](tokens.Claims{}); err != nil || none.Role != "" {
		t.Errorf("without claims: %v, %v", none, err)
	}
}

// Before the set was loaded nothing is accepted from it, and nothing refused.
func TestStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	session, token := b.token(t, time.Hour)
	if age := b.Age(); age != math.MaxInt64 {
		t.Errorf("Age is %v", age)
	}
	b.want(t, "before", token, verifier.ErrUnavailable)
	b.answer(nil)
	b.want(t, "before, live", token, nil)
	b.answer(verifier.ErrRevoked)
	b.want(t, "before, revoked", token, verifier.ErrRevoked)

	// A proof is of no use, and neither is half a set.
	b.answer(errDown)
	b.prove()
	b.want(t, "a proof of nothing", token, verifier.ErrUnavailable)
	b.set.Apply(verifier.Batch{Reset: true, Sessions: []verifier.Revocation{b.revocation(session, time.Hour)}})
	b.want(t, "half a set", token, verifier.ErrUnavailable)
	b.prove()
	b.want(t, "loaded", token, verifier.ErrRevoked)
}

func TestBound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, token := b.token(t, time.Hour)
	b.load()
	b.clocks.pass(time.Second)
	b.want(t, "at the bound", token, nil)
	b.clocks.pass(1)
	b.want(t, "past it", token, verifier.ErrUnavailable)
	if age := b.Age(); age != time.Second+1 {
		t.Errorf("Age is %v", age)
	}
	b.answer(nil)
	b.want(t, "past it, but live", token, nil)
	b.answer(verifier.ErrRevoked)
	b.want(t, "past it, and revoked", token, verifier.ErrRevoked)
	b.answer(tokens.ErrInvalid)
	b.want(t, "past it, and nobody knows", token, verifier.ErrUnavailable)
	b.prove()
	b.want(t, "proven again", token, nil)
}

// An outage never matches two errors: errors about tokens do not show through.
func TestUnavailableIsNothingElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, token := b.token(t, time.Hour)
	b.answer(errors.Join(verifier.ErrUnavailable, verifier.ErrRevoked, tokens.ErrInvalid))
	_, err := b.Verify(t.Context(), token)
	if !errors.Is(err, verifier.ErrUnavailable) || errors.Is(err, verifier.ErrRevoked) || errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

// A strict check takes no longer than configured.
func TestStrictTimeout(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *verifier.Config) {
		c.StrictTimeout = 10 * time.Millisecond
		c.Strict = func(ctx context.Context, _ string, _ tokens.Claims) error {
			<-ctx.Done()
			return ctx.Err()
		}
	})
	_, token := b.token(t, time.Hour)
	b.want(t, "silence", token, verifier.ErrUnavailable)
}

// The age of a proof is that of the clock on which it is older.
func TestClockThatJumps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mono, wall time.Duration
		want       error
	}{
		"the machine slept":              {0, time.Hour, verifier.ErrUnavailable},
		"it was set back":                {1500 * time.Millisecond, -time.Hour, verifier.ErrUnavailable},
		"it was set back just now":       {500 * time.Millisecond, -time.Hour, nil},
		"it was set forward":             {0, 2 * time.Second, verifier.ErrUnavailable},
		"it was set forward by a little": {100 * time.Millisecond, 900 * time.Millisecond, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			// Old enough to have been issued before a clock that is set back.
			_, token := sign(t, b.signer, b.clocks.wall().Add(-2*time.Hour), 4*time.Hour)
			b.load()
			b.clocks.jump(c.mono, c.wall)
			b.want(t, name, token, c.want)
		})
	}
}

// A wall clock that was ahead has made the set forget sessions too early. Forgotten sessions are not taken for live,
// and the set is loaded again.
func TestSetAfterAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	session, token := b.token(t, time.Hour)
	revocation := b.revocation(session, time.Hour)
	_, long := b.token(t, 48*time.Hour)
	b.load(revocation)
	b.want(t, "revoked", token, verifier.ErrRevoked)

	b.clocks.jumpWall(24 * time.Hour)
	for range 300 { // all is swept
		b.prove()
	}
	if n := b.Len(); n != 0 {
		t.Fatalf("%d are left a day later", n)
	}
	b.want(t, "a day ahead", token, tokens.ErrExpired)

	b.clocks.jumpWall(-24 * time.Hour)
	b.prove()
	b.want(t, "back again", token, verifier.ErrUnavailable)
	b.want(t, "back again, long-lived", long, nil)
	select {
	case b.set = <-b.source.sets:
	case <-time.After(patience):
		t.Fatal("the source was not told to start over")
	}
	b.load(revocation)
	b.want(t, "loaded again", token, verifier.ErrRevoked)
}

// The source's clock and this one need not agree for the set to be right: what
// it left out as long over is not taken for live by a clock that is behind.
func TestClockThatIsBehind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, token := b.token(t, time.Hour)
	now := b.set.Now()
	b.set.Apply(verifier.Batch{Reset: true, Proof: now, From: now.Wall.Add(2 * time.Hour).Unix()})
	b.want(t, "expired where it was loaded", token, verifier.ErrUnavailable)
}

// A set that is loaded again keeps the sessions that were revoked, whatever the source knows about them, until they
// expire. It stays as it was until it is complete.
func TestReset(t *testing.T) {
	t.Parallel()
	b := setup(t)
	session, token := b.token(t, time.Hour)
	other, otherToken := b.token(t, time.Hour)
	b.load(b.revocation(session, time.Hour), b.revocation(uuid.New(), time.Minute))
	b.set.Apply(verifier.Batch{Reset: true, Sessions: []verifier.Revocation{b.revocation(other, time.Hour)}})
	b.want(t, "revoked before", token, verifier.ErrRevoked)
	b.want(t, "not yet revoked", otherToken, nil)
	b.prove()
	b.want(t, "a failover has lost it", token, verifier.ErrRevoked)
	b.want(t, "revoked", otherToken, verifier.ErrRevoked)
	if n := b.Len(); n != 3 {
		t.Errorf("%d sessions are known, want 3", n)
	}
	b.clocks.pass(3 * time.Minute)
	b.load()
	b.want(t, "loaded again", token, verifier.ErrRevoked)
	if n := b.Len(); n != 2 {
		t.Errorf("%d sessions are known when the tokens of one have expired, want 2", n)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	checker, err := tokens.NewVerifier(newRing(t), tokenConfig())
	if err != nil {
		t.Fatal(err)
	}
	strict := func(context.Context, string, tokens.Claims) error { return nil }
	for want, cfg := range map[string]verifier.Config{
		"Strict is required": {},
		"Bound is 1ms":       {Strict: strict, Bound: time.Millisecond},
		"Bound is -1s":       {Strict: strict, Bound: -time.Second},
		"StrictTimeout -1s":  {Strict: strict, StrictTimeout: -time.Second},
	} {
		if _, err := verifier.New(checker, byHand{}, cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := verifier.New(nil, byHand{}, verifier.Config{Strict: strict}); err == nil {
		t.Error("no verifier, no error")
	}
	if _, err := verifier.New(checker, nil, verifier.Config{Strict: strict}); err == nil {
		t.Error("no source, no error")
	}
}

type givesUp struct{ err error }

func (g givesUp) Follow(context.Context, *verifier.Set) error { return g.err }

// Run returns an error if its source returns.
func TestRunTellsOfASourceThatGivesUp(t *testing.T) {
	t.Parallel()
	checker, err := tokens.NewVerifier(newRing(t), tokenConfig())
	if err != nil {
		t.Fatal(err)
	}
	cfg := verifier.Config{Strict: func(context.Context, string, tokens.Claims) error { return nil }}
	for _, why := range []error{nil, errDown} {
		v, err := verifier.New(checker, givesUp{why}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Run(t.Context()); err == nil || why != nil && !errors.Is(err, why) || why == nil && err.Error() != "verifier: the source has stopped" {
			t.Errorf("%v", err)
		}
	}
}
