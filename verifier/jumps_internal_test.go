package verifier

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// A database whose clock jumps by up to a day either way, at any time; revocations, proofs,
// and the set that is reloaded when it requests that: no token of a session that was
// revoked before the last proof is taken for live while the verifier does not see it as
// expired.
func TestJumpsForgetNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const longest = 24 * time.Hour
		type ended struct {
			at, until int64
			token     tokens.Claims
		}
		var clock Moment
		clock.Mono, clock.Wall = time.Hour, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		right, ahead := clock.Wall, time.Duration(0)
		set := newSet(DefaultBound, &databaseClock{now: func() Moment { return clock }, logger: slog.New(slog.DiscardHandler)})
		again := true
		set.restartBy(func() { again = true })
		var known, fresh []ended
		now := func() time.Time { return right.Add(ahead) }
		pass := func(d time.Duration) { clock, right = clock.Add(d), right.Add(d) }
		prove := func() {
			b := Batch{Reset: again, Proof: clock, Now: now(), Cursor: "x"}
			news := fresh
			if known = append(known, fresh...); again {
				news, b.From = known, now().Unix()
			}
			fresh, again = nil, false
			for _, e := range news {
				// As the statements do.
				if !b.Reset || e.at > now().Add(-longest-Slack).Unix() && e.until >= now().Unix() {
					b.Sessions = append(b.Sessions, Revocation{SessionID: e.token.SessionID, Until: e.until})
				}
			}
			pass(time.Millisecond)
			b.Now = now()
			set.Apply(b)
		}
		prove()
		t.Repeat(map[string]func(*rapid.T){
			"jump": func(t *rapid.T) {
				ahead = time.Duration(rapid.SampledFrom([]int64{-24 * 3600, -3600, -20, -1, 0, 1, 20, 3600, 24 * 3600}).Draw(t, "ahead")) * time.Second
			},
			"pass": func(t *rapid.T) {
				pass(time.Duration(rapid.SampledFrom([]int64{1, 10, 70, 400}).Draw(t, "seconds")) * time.Second)
				prove() // or all data is too old for a decision
			},
			"prove": func(t *rapid.T) {
				for range rapid.SampledFrom([]int{1, 2, 64}).Draw(t, "times") {
					pass(10 * time.Millisecond)
					prove()
				}
			},
			"revoke": func(t *rapid.T) {
				ttl := time.Duration(rapid.SampledFrom([]int64{60, 300, 24 * 3600}).Draw(t, "ttl")) * time.Second
				e := ended{at: now().Unix(), token: tokens.Claims{SessionID: uuid.New(), TokenID: uuid.New(), ExpiresAt: now().Add(ttl).Truncate(time.Second)}}
				e.until = now().Add(longest + Slack).Unix()
				fresh = append(fresh, e)
			},
			"": func(t *rapid.T) {
				for _, e := range known {
					if set.clock.time().Before(e.token.ExpiresAt) && set.verdict(&e.token) == live {
						t.Fatalf("revoked at %d, good until %v, taken for live at %v, complete from %d on", e.at, e.token.ExpiresAt, set.clock.time(), set.known.Load().sessions.from.Load())
					}
				}
			},
		})
	})
}
