package dpop_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/dpop"
)

// clocked is a checker with a clock that the test sets.
func clocked(t *testing.T, change ...func(*dpop.Config)) (c *dpop.Checker, clock *time.Time) {
	t.Helper()
	at := now
	return checker(t, append(change, func(c *dpop.Config) {
		c.Window, c.Leeway, c.Now = time.Minute, 5*time.Second, func() time.Time { return at }
	})...), &at
}

// However the memory is cut into halves, a proof can be spent only once for as long
// as it is valid: whenever it arrived, however far ahead its client's clock was,
// and whatever arrived in between.
func TestSpentForAsLongAsItIsGood(t *testing.T) {
	t.Parallel()
	c, clock := clocked(t)
	key := ed(t)
	const lifetime = 65 // seconds: the window and the leeway
	var texts []string
	var proofs []dpop.Proof
	for at := range 3 * lifetime {
		*clock = now.Add(time.Duration(at) * time.Second)
		oldest := max(0, at-lifetime)
		for then := oldest; then < at; then++ {
			if err := c.Spend(proofs[then]); !errors.Is(err, dpop.ErrReplayed) {
				t.Fatalf("at %d s, the one that was spent at %d s: %v", at, then, err)
			}
		}
		s := good(t, key, jose.EdDSA)
		s.claims["iat"] = clock.Unix() + 5
		texts = append(texts, s.sign(t))
		proof, err := c.Check(texts[at], want)
		if err != nil || c.Spend(proof) != nil {
			t.Fatalf("at %d s, a new one: %v", at, err)
		}
		proofs = append(proofs, proof)
		if _, err := c.Check(texts[oldest], want); err != nil {
			t.Fatalf("at %d s, the one of %d s is no longer good, so this test is about nothing: %v", at, oldest, err)
		}
	}
}

// A clock that is set back neither brings a proof back that was spent just now, nor
// has the memory filled until it has caught up.
func TestMemoryOfAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	c, clock := clocked(t, func(c *dpop.Config) { c.Remember = 2 })
	key := ed(t)
	spend := func(after time.Duration) (dpop.Proof, error) {
		*clock = now.Add(after)
		s := good(t, key, jose.EdDSA)
		s.claims["iat"] = clock.Unix()
		proof, err := c.Check(s.sign(t), want)
		if err != nil {
			t.Fatal(err)
		}
		return proof, c.Spend(proof)
	}
	if _, err := spend(24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	proof, err := spend(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Spend(proof); !errors.Is(err, dpop.ErrReplayed) {
		t.Errorf("spent twice: %v", err)
	}
	for _, after := range []time.Duration{140, 141, 280, 281} {
		if _, err := spend(after * time.Second); err != nil {
			t.Errorf("%d s later: %v", after, err)
		}
	}
}

// Proofs that were rotated out count for the limit, and are forgotten after twice the time at the latest, even if none
// arrives in between.
func TestMemoryIsGivenBack(t *testing.T) {
	t.Parallel()
	c, clock := clocked(t, func(c *dpop.Config) { c.Remember = 2 })
	key := ed(t)
	spend := func(after time.Duration) error {
		*clock = now.Add(after)
		s := good(t, key, jose.EdDSA)
		s.claims["iat"] = clock.Unix()
		proof, err := c.Check(s.sign(t), want)
		if err != nil {
			t.Fatal(err)
		}
		return c.Spend(proof)
	}
	for _, step := range []struct {
		after time.Duration
		want  error
	}{
		{0, nil},
		{65 * time.Second, nil}, // still in the first half
		{65*time.Second + 1, dpop.ErrUnavailable},  // both in the second one now
		{130*time.Second + 1, dpop.ErrUnavailable}, // and still
		{130*time.Second + 2, nil},                 // gone
		{131 * time.Second, nil},                   // room for one more
		{132 * time.Second, dpop.ErrUnavailable},   // full
		{260*time.Second + 2, dpop.ErrUnavailable}, // after twice the time, rotated out and kept
		{391 * time.Second, nil},
		{391 * time.Second, nil},
		{522 * time.Second, nil}, // more than that: both are forgotten at once
	} {
		if err := spend(step.after); !errors.Is(err, step.want) || step.want == nil && err != nil {
			t.Errorf("after %v: %v, want %v", step.after, err, step.want)
		}
	}
}
