package verifier_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/verifier"
)

// Clocks that jump, machines that sleep and sources that are away, at random: the
// longest time that a revoked token is accepted is measured in true time, which no
// clock of the machine shows.
func TestClocksThatJumpAtRandom(t *testing.T) {
	t.Parallel()
	const step, trials = 10 * time.Millisecond, 200
	dice := rand.New(rand.NewPCG(3, 5))
	var longest time.Duration
	accepted, refused, unknown := 0, 0, 0
	for range trials {
		b := setup(t)
		session, token := sign(t, b.signer, b.clocks.wall().Add(-100*time.Hour), 200*time.Hour)
		revocation := b.revocation(session, 100*time.Hour)
		b.load()
		revokedAt := step * time.Duration(50+dice.IntN(100))
		// The event, its time, and for how long the source is then unavailable.
		jumpAt, away := step*time.Duration(40+dice.IntN(120)), step*time.Duration(dice.IntN(150))
		jump := time.Duration(dice.Int64N(int64(3 * time.Second)))
		if dice.IntN(2) == 0 {
			jump = time.Duration(dice.Int64N(int64(3 * time.Hour)))
		}
		kind := dice.IntN(4)
		var asked *verifier.Moment
		var answer []verifier.Revocation
		for now := time.Duration(0); now < 4*time.Second; now += step {
			b.clocks.pass(step)
			if now == jumpAt {
				switch kind {
				case 0: // the machine sleeps
					b.clocks.jumpWall(jump)
					now += jump
				case 1:
					b.clocks.jumpWall(-jump)
				case 2:
					b.clocks.jumpWall(jump)
				case 3: // nothing
				}
			}
			select {
			case b.set = <-b.source.sets: // it has started over
				asked = nil
				b.load(b.known(now, revokedAt, revocation)...)
			default:
			}
			switch isAway := now >= jumpAt && now < jumpAt+away; {
			case isAway:
				asked = nil
			case asked == nil && dice.IntN(25) == 0:
				moment := b.set.Now()
				asked, answer = &moment, b.known(now, revokedAt, revocation)
			case asked != nil && dice.IntN(5) == 0:
				b.set.Apply(verifier.Batch{Sessions: answer, Proof: *asked, Cursor: "x"})
				asked = nil
			}
			switch _, err := b.Verify(t.Context(), token); err {
			case nil:
				accepted++
				longest = max(longest, now-revokedAt)
			case verifier.ErrRevoked: //nolint:errorlint // the very value
				refused++
			default:
				unknown++
			}
		}
	}
	t.Logf("accepted for up to %v after the revocation; %d times accepted, %d refused, %d could not tell", longest, accepted, refused, unknown)
	if longest > verifier.DefaultBound {
		t.Errorf("a revoked token was accepted for %v", longest)
	}
	if longest < verifier.DefaultBound/2 || accepted == 0 || refused == 0 || unknown == 0 {
		t.Error("the simulation does not show much")
	}
}

// known is the time that a database reports when it is queried at some moment.
func (b *bench) known(now, revokedAt time.Duration, r verifier.Revocation) []verifier.Revocation {
	if now < revokedAt {
		return nil
	}
	return []verifier.Revocation{r}
}
