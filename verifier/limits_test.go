package verifier_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// A strict check takes at most a second by default.
func TestDefaultStrictTimeout(t *testing.T) {
	t.Parallel()
	var left, most time.Duration
	var before time.Time
	b := setup(t, func(c *verifier.Config) {
		c.Strict = func(ctx context.Context, _ string, _ tokens.Claims) error {
			deadline, ok := ctx.Deadline()
			if !ok {
				t.Error("there is no deadline")
			}
			left, most = time.Until(deadline), deadline.Sub(before)
			return nil
		}
	})
	_, token := b.token(t, time.Hour)
	before = time.Now()
	b.want(t, "asked about", token, nil)
	if left > time.Second || most < time.Second {
		t.Errorf("%v are left, of %v or less", left, most)
	}
}

// Keys that cannot be fetched say nothing about the token.
func TestKeysThatCannotBeFetched(t *testing.T) {
	t.Parallel()
	cfg := tokenConfig()
	cfg.MissingKey = func() error { return errDown }
	checker, err := tokens.NewVerifier(newRing(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verifier.New(checker, byHand{}, verifier.Config{Strict: nobody})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := tokens.NewSigner(newRing(t), tokenConfig())
	if err != nil {
		t.Fatal(err)
	}
	_, token := sign(t, signer, time.Now(), time.Hour)
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, verifier.ErrUnavailable) || errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

// A set that is not loaded has nothing to count.
func TestLen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if n := b.Len(); n != 0 {
		t.Errorf("%d sessions before the set is loaded", n)
	}
	b.load(b.revocations(3)...)
	if n := b.Len(); n != 3 {
		t.Errorf("%d sessions, want 3", n)
	}
}

// A set that does not go back far enough does not report a token as live; one
// that goes back by the slack to the second does.
func TestSlackAtItsEdge(t *testing.T) {
	t.Parallel()
	for late, want := range map[int64]error{0: nil, 1: verifier.ErrUnavailable} {
		b := setup(t)
		_, token := b.token(t, time.Hour)
		now := b.set.Now()
		b.set.Apply(verifier.Batch{Reset: true, Proof: now, From: now.Wall.Add(time.Hour).Unix() + slack + late})
		b.want(t, "the set goes back so far", token, want)
	}
}

// A session is kept while its time is not over, to the second.
func TestRevocationsAtTheirEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	list := b.revocations(3)
	from := b.clocks.wall().Unix()
	list[0].Until, list[1].Until, list[2].Until = from-1, from, from+1
	b.load(list...)
	if n := b.Len(); n != 2 {
		t.Errorf("%d sessions were loaded, want 2", n)
	}
	b.load()
	b.prove(list...)
	if n := b.Len(); n != 2 {
		t.Errorf("%d sessions were added, want 2", n)
	}
}

// The least bound and the least time-out are accepted.
func TestConfigLimits(t *testing.T) {
	t.Parallel()
	for bound, good := range map[time.Duration]bool{
		0: true, 20 * time.Millisecond: true, 20*time.Millisecond - 1: false, time.Hour: true, -1: false,
	} {
		for timeout, alsoGood := range map[time.Duration]bool{0: true, 1: true, -1: false} {
			cfg := verifier.Config{Strict: nobody, Bound: bound, StrictTimeout: timeout}
			if _, err := verifier.New(checkerOf(t), byHand{}, cfg); (err == nil) != (good && alsoGood) {
				t.Errorf("a bound of %v and a time-out of %v: %v", bound, timeout, err)
			}
		}
	}
}
