//go:build !race

package refresh

import (
	"testing"
	"time"
)

// A check that finds nothing proves little unless it finds something where
// there is something: each mutant is decide (or Get's rule for uses) with one
// rule broken, and the model check must find the harm that the rule prevents.

// withPeriods is decide with another fresh period and another time, after the
// previous pair was issued, from when on uses count; both in ticks.
func withPeriods(fresh, settle int8) decider {
	return func(p Pair, t Presented, now time.Time, r Rules) Decision {
		d := decide(p, t, now, r)
		if d.Outcome == StillFresh && !now.Before(p.IssuedAt.Add(time.Duration(fresh)*tick)) {
			d = Decision{Outcome: Rotated, Next: p.Rotate(p.Generation+1, now, r)}
		}
		if d.Outcome == Rotated {
			d.Next.SettledAt = now
			if settled := p.IssuedAt.Add(time.Duration(settle) * tick); settled.After(now) {
				d.Next.SettledAt = settled
			}
		}
		return d
	}
}

// refuseReplaced is the setting.
func refuseReplaced(s *scenario) {
	s.accepts = func(r Rules, generation, newest int64, mintedAt, now time.Time) bool {
		r.RefuseReplaced = true
		return r.AcceptsAccess(generation, newest, mintedAt, now)
	}
}

// mutants are decide with one rule broken each.
var mutants = []struct {
	name   string
	decide decider
	world  scenario // in which it does harm
	want   string   // the invariant that it breaks
}{
	{
		"sliding grace: each race extends it",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			d := decide(p, t, now, r)
			if d.Outcome == Raced {
				d.Next.IssuedAt = now
			}
			return d
		},
		honest.named("replaced access tokens are refused", refuseReplaced), slidWindow,
	},
	{
		"sliding grace: each race extends it for the access token before",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			d := decide(p, t, now, r)
			if d.Outcome == Raced {
				d.Next.IssuedAt = now
			}
			return d
		},
		honest, lingered,
	},
	{
		"sliding confirmation: each use extends the grace",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			d := decide(p, t, now, r)
			if d.Outcome == StillFresh && !p.ConfirmedAt.IsZero() {
				d.Next.ConfirmedAt = now
			}
			return d
		},
		hostile, slidWindow,
	},
	{
		"the grace counts from the rotation alone",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			if t.Generation == p.Generation-1 {
				p.IssuedAt = p.CreatedAt
				if p.ConfirmedAt.After(p.CreatedAt) {
					p.ConfirmedAt = p.CreatedAt
				}
			}
			return decide(p, t, now, r)
		},
		honest, falseLogout,
	},
	{"a fresh period of one grace", withPeriods(honest.grace, SettleGraces*honest.grace), honest, falseLogout},
	{"a fresh period of two graces", withPeriods(2*honest.grace, SettleGraces*honest.grace), honest, falseLogout},
	{"uses count at once", withPeriods(FreshGraces*honest.grace, 0), honest, falseLogout},
	{"uses count four graces after the previous issue", withPeriods(FreshGraces*honest.grace, 4*honest.grace), honest, falseLogout},
	{
		"a use counts by the access token's number alone", decide,
		failures.named("uses by number", func(s *scenario) { s.byNumber = true }), falseLogout,
	},
	{
		"a use of the access token before counts, too", decide,
		honest.named("uses of the one before", func(s *scenario) { s.oldConfirms = true }), falseLogout,
	},
	{
		"the previous access token is accepted forever", decide,
		honest.named("no window", func(s *scenario) {
			s.accepts = func(_ Rules, generation, newest int64, _, _ time.Time) bool { return generation >= newest-1 }
		}), lingered,
	},
	{
		"any access token is accepted within the grace", decide,
		hostile.named("no order", func(s *scenario) {
			s.accepts = func(r Rules, _, _ int64, mintedAt, now time.Time) bool { return now.Before(mintedAt.Add(r.Grace)) }
		}), lingered,
	},
	{
		"who supersedes access tokens skips no generation", decide,
		replaced.named("the next one", func(s *scenario) { s.supersedes = 1 }), superseded,
	},
	{
		"no confirmation",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			p.ConfirmedAt = time.Time{}
			return decide(p, t, now, r)
		},
		visible, notToldApart,
	},
	{
		"the parent is accepted forever",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			if t.Generation == p.Generation-1 && !p.Revoked {
				return Decision{Outcome: Raced, Next: p}
			}
			return decide(p, t, now, r)
		},
		honest, slidWindow,
	},
	{
		"a new pair for each race",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			d := decide(p, t, now, r)
			if d.Outcome == Raced {
				d.Next = p.Rotate(p.Generation+1, now, r)
			}
			return d
		},
		honest, manyPairs,
	},
	{
		"the old access token is kept at a late retry",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			d := decide(p, t, now, r)
			if d.Outcome == RetriedLate {
				d.Next.AccessGeneration, d.Next.AccessExpiresAt = p.AccessGeneration, p.AccessExpiresAt
			}
			return d
		},
		honest, uselessPair,
	},
	{
		"an access token that has expired is handed out again",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			d := decide(p, t, now, r)
			if d.Outcome == StillFresh {
				d.Next.AccessGeneration, d.Next.AccessExpiresAt = p.AccessGeneration, p.AccessExpiresAt
			}
			return d
		},
		outlived, uselessPair,
	},
	{
		"no limit on late retries",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			p.LateRetries = 0
			return decide(p, t, now, r)
		},
		unseen, notToldApart,
	},
	{
		"late retries count though they are not in a row",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			if p.LateRetryGeneration < p.Generation {
				p.LateRetryGeneration = p.Generation - 1
			}
			return decide(p, t, now, r)
		},
		honest, falseLogout,
	},
	{
		"no healing",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			if t.Generation > p.Generation {
				return Decision{Outcome: Refused, Next: p}
			}
			return decide(p, t, now, r)
		},
		failures, falseLogout,
	},
	{
		"the clock of a replica that is ahead judges what the database's has made",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			d := decide(p, t, now.Add(r.Grace), r)
			if d.Outcome == Rotated {
				d.Next = p.Rotate(p.Generation+1, now, r)
			}
			return d
		},
		honest, manyPairs,
	},
	{
		"the grace of the replica that answers",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			p.Grace = 0
			return decide(p, t, now, r)
		},
		rollout, falseLogout,
	},
	{
		"a time in the future is taken for a fault of the token",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			if p.IssuedAt.After(now) {
				return Decision{Outcome: Refused, Next: p}
			}
			return decide(p, t, now, r)
		},
		clocks, falseLogout,
	},
	{
		"a time in the future is long past",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			if p.IssuedAt.After(now) {
				p.IssuedAt = now.Add(-month)
			}
			return decide(p, t, now, r)
		},
		takeover, manyPairs,
	},
	{
		"a revocation is overlooked",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			p.Revoked = false
			return decide(p, t, now, r)
		},
		hostile, revived,
	},
	{
		"an old token is answered",
		func(p Pair, t Presented, now time.Time, r Rules) Decision {
			t.Generation = max(t.Generation, p.Generation-1)
			return decide(p, t, now, r)
		},
		unseen, notToldApart,
	},
}

func TestModelCheckFindsMutants(t *testing.T) {
	t.Parallel()
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			s := m.world
			s.decide = m.decide
			expectViolation(t, s, m.want)
		})
	}
}
