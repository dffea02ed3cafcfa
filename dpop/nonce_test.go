package dpop_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/dpop"
)

func nonces(t *testing.T) *dpop.Nonces {
	t.Helper()
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i)
	}
	return must(dpop.NewNonces(func() [][]byte { return [][]byte{secret} }))(t)
}

func nextNonce(c *dpop.Checker) string {
	h := http.Header{}
	c.SetNonce(h)
	return h.Get(dpop.NonceHeader)
}

// While a release replaces another, replicas of both accept each other's nonces. The
// value was computed by another program: the first 16 bytes of the HMAC-SHA256 of
// "dpop nonce" and the minute, as 64 bits.
func TestNonceIsTheSameInEachRelease(t *testing.T) {
	t.Parallel()
	if got := nextNonce(checker(t, func(c *dpop.Config) { c.Nonces = nonces(t) })); got != "8pCgPlZ-cqwS0lYfFLcAug" {
		t.Errorf("%s", got)
	}
}

// A nonce is handed out for a minute, and is valid until the next one is over.
func TestNonceLastsOneToTwoMinutes(t *testing.T) {
	t.Parallel()
	c, clock := clocked(t, func(c *dpop.Config) { c.Nonces = nonces(t) })
	key := ed(t)
	for handedOut := range 60 {
		*clock = now.Add(time.Duration(handedOut) * time.Second)
		nonce := nextNonce(c)
		for at, answer := range map[time.Duration]error{2*time.Minute - time.Second: nil, 2 * time.Minute: dpop.ErrUseNonce} {
			*clock = now.Add(at)
			s := good(t, key, jose.EdDSA)
			s.claims["nonce"] = nonce
			if _, err := c.Check(s.sign(t), want); !errors.Is(err, answer) || answer == nil && err != nil {
				t.Errorf("handed out after %d s, presented after %v: %v, want %v", handedOut, at, err, answer)
			}
		}
	}
}

// With nonces a proof is remembered for up to six minutes, and no longer.
func TestMemoryOfNoncesIsGivenBack(t *testing.T) {
	t.Parallel()
	c, clock := clocked(t, func(c *dpop.Config) { c.Nonces, c.Remember = nonces(t), 1 })
	key := ed(t)
	for _, step := range []struct {
		after time.Duration
		want  error
	}{{0, nil}, {6*time.Minute + 1, nil}, {12*time.Minute + 1, dpop.ErrUnavailable}} {
		*clock = now.Add(step.after)
		s := good(t, key, jose.EdDSA)
		s.claims["nonce"] = nextNonce(c)
		proof, err := c.Check(s.sign(t), want)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Spend(proof); !errors.Is(err, step.want) || step.want == nil && err != nil {
			t.Errorf("after %v: %v, want %v", step.after, err, step.want)
		}
	}
}

// A program without a checker has no nonces to hand out.
func TestNoNoncesWithoutAChecker(t *testing.T) {
	t.Parallel()
	if nonce := nextNonce(nil); nonce != "" {
		t.Errorf("%q", nonce)
	}
}
