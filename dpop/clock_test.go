package dpop_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/dpop"
)

// RFC 9449 §11.1: a nonce replaces the time. Without one, what a wrong clock made is
// refused in words that say so, with the time here.
func TestWrongClocks(t *testing.T) {
	t.Parallel()
	nonces, err := dpop.NewNonces(func() [][]byte { return [][]byte{make([]byte, 32)} })
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	checker(t, func(c *dpop.Config) { c.Nonces = nonces }).SetNonce(h)
	nonce := h.Get(dpop.NonceHeader)
	for _, off := range []time.Duration{0, 7 * time.Second, -65 * time.Second, time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour} {
		made := func(nonce string) string {
			s := good(t, ed(t), jose.EdDSA)
			s.claims["iat"], s.claims["exp"], s.claims["nbf"] = now.Add(off).Unix(), now.Add(off+time.Minute).Unix(), now.Add(off).Unix()
			if nonce != "" {
				s.claims["nonce"] = nonce
			}
			return s.sign(t)
		}
		for name, test := range map[string]struct {
			change         func(*dpop.Config)
			with, without  error // the nonce
			rightClockOnly bool  // what without says is of a wrong clock only
		}{
			"nonces":            {func(c *dpop.Config) { c.Nonces = nonces }, nil, dpop.ErrUseNonce, false},
			"nonces for clocks": {func(c *dpop.Config) { c.Nonces, c.NoncesForClocks = nonces, true }, nil, dpop.ErrUseNonce, true},
			"no nonces":         {func(*dpop.Config) {}, dpop.ErrClock, dpop.ErrClock, true},
		} {
			c := checker(t, test.change)
			if off == 0 && test.rightClockOnly {
				test.without = nil
				if errors.Is(test.with, dpop.ErrClock) {
					test.with = nil
				}
			}
			for nonce, answer := range map[string]error{nonce: test.with, "": test.without} {
				_, err := c.Check(made(nonce), want)
				if !errors.Is(err, answer) || answer == nil && err != nil {
					t.Errorf("%v, %s, nonce %q: %v, want %v", off, name, nonce, err, answer)
				}
				if test.rightClockOnly && err != nil && !errors.Is(err, dpop.ErrClock) {
					t.Errorf("%v, %s: it does not say that it is the clock: %v", off, name, err)
				}
				if errors.Is(err, dpop.ErrClock) && !strings.Contains(err.Error(), "it is "+now.UTC().Format(time.RFC3339)+" here") {
					t.Errorf("it does not say what time it is: %v", err)
				}
			}
		}
	}
}

// A proof that is valid because of its nonce is remembered for as long as the nonce is
// valid.
func TestProofWithANonceIsSpentOnce(t *testing.T) {
	t.Parallel()
	nonces, err := dpop.NewNonces(func() [][]byte { return [][]byte{make([]byte, 32)} })
	if err != nil {
		t.Fatal(err)
	}
	c, clock := clocked(t, func(c *dpop.Config) { c.Nonces, c.NoncesForClocks, c.Window = nonces, true, time.Second })
	ahead, at := clocked(t, func(c *dpop.Config) { c.Nonces = nonces })
	*at = now.Add(time.Minute)
	h := http.Header{}
	ahead.SetNonce(h)
	s := good(t, ed(t), jose.EdDSA)
	s.claims["iat"], s.claims["nonce"] = now.Add(-24*time.Hour).Unix(), h.Get(dpop.NonceHeader)
	text := s.sign(t)
	spend := func() error {
		proof, err := c.Check(text, want)
		if err != nil {
			return err
		}
		return c.Spend(proof)
	}
	if err := spend(); err != nil {
		t.Fatal(err)
	}
	for passed := time.Duration(0); passed < 4*time.Minute; passed += time.Second {
		*clock = now.Add(passed)
		other := good(t, ed(t), jose.EdDSA) // what others send turns the memory over
		other.claims["iat"] = clock.Unix()
		if proof, err := c.Check(other.sign(t), want); err != nil || c.Spend(proof) != nil {
			t.Fatalf("after %v another's proof: %v", passed, err)
		}
		if err := spend(); !errors.Is(err, dpop.ErrReplayed) && !errors.Is(err, dpop.ErrUseNonce) {
			t.Fatalf("after %v: %v", passed, err)
		}
	}
}
