package refresh

import (
	"testing"
	"time"
)

// A pair of generation 5, which was issued at start and confirmed at once, and
// what a token brings of its key and of a proof.
func TestDecideBound(t *testing.T) {
	t.Parallel()
	const mine, other = "mine", "other"
	bound := func(p *Pair) { p.BoundTo, p.ConfirmedAt = mine, start }
	unbound := func(p *Pair) { p.ConfirmedAt = start }
	revoked := func(p *Pair) { p.BoundTo, p.Revoked = mine, true }
	for _, test := range []struct {
		name       string
		pair       Pair
		keys       Keys
		generation int64
		after      time.Duration
		want       Outcome
		theft      Theft
		unproven   bool
		boundTo    string
	}{
		// The owner: every case as before.
		{"rotation", at(bound), Keys{mine, mine}, 5, time.Hour, Rotated, "", false, mine},
		{"still fresh", at(bound), Keys{mine, mine}, 5, grace, StillFresh, "", false, mine},
		{"race", at(bound), Keys{mine, mine}, 4, grace / 2, Raced, "", false, mine},
		{"late retry", at(func(p *Pair) { p.BoundTo = mine }), Keys{mine, mine}, 4, time.Hour, RetriedLate, "", false, mine},
		{"reuse with the key", at(bound), Keys{mine, mine}, 3, time.Hour, Stolen, Old, false, mine},
		{"stale with the key", at(bound), Keys{mine, mine}, 4, time.Hour, Stolen, Stale, false, mine},
		{"healed", at(unbound), Keys{mine, mine}, 7, time.Hour, Healed, "", false, mine},
		{"revoked", at(revoked), Keys{mine, mine}, 5, time.Hour, Refused, "", false, mine},

		// A thief with a copy, gets nothing in each of these cases, and no theft is
		// suspected.
		{"copy of the newest", at(bound), Keys{mine, ""}, 5, time.Hour, Refused, "", true, mine},
		{"copy of the newest, another key", at(bound), Keys{mine, other}, 5, time.Hour, Refused, "", true, mine},
		{"copy, still fresh", at(bound), Keys{mine, other}, 5, grace, Refused, "", true, mine},
		{"copy within the grace", at(bound), Keys{mine, ""}, 4, grace / 2, Refused, "", true, mine},
		{"copy within the grace, another key", at(bound), Keys{mine, other}, 4, grace / 2, Refused, "", true, mine},
		{"copy where the answer was lost", at(func(p *Pair) { p.BoundTo = mine }), Keys{mine, other}, 4, time.Hour, Refused, "", true, mine},
		{"old copy", at(bound), Keys{mine, ""}, 1, time.Hour, Refused, "", true, mine},
		{"copy of what the database lost", at(unbound), Keys{mine, other}, 7, time.Hour, Refused, "", true, ""},
		{"copy of an ended session's", at(revoked), Keys{mine, other}, 5, time.Hour, Refused, "", false, mine},

		// From before the binding, without the key.
		{"unbound copy within the grace", at(bound), Keys{"", ""}, 4, grace / 2, Stolen, Unproven, false, mine},
		{"unbound copy, another key", at(bound), Keys{"", other}, 4, time.Hour, Stolen, Unproven, false, mine},
		{"unbound copy of an ended session's", at(revoked), Keys{"", ""}, 4, 0, Refused, "", false, mine},
		// With it: a second tab, a retry.
		{"unbound, with the key", at(bound), Keys{"", mine}, 4, grace / 2, Raced, "", false, mine},

		// A pair that answers a proof is bound.
		{"first proof", at(unbound), Keys{"", mine}, 5, time.Hour, Rotated, "", false, mine},
		{"first proof, still fresh", at(unbound), Keys{"", mine}, 5, grace, StillFresh, "", false, mine},
		{"first proof in a race", at(unbound), Keys{"", mine}, 4, grace / 2, Raced, "", false, mine},
		{"a thief's proof binds nothing", at(unbound), Keys{"", other}, 3, time.Hour, Stolen, Old, false, ""},
		{"an ended session's proof binds nothing", at(func(p *Pair) { p.Revoked = true }), Keys{"", mine}, 5, time.Hour, Refused, "", false, ""},
		{"no proof", at(unbound), Keys{}, 5, time.Hour, Rotated, "", false, ""},
	} {
		got := Decide(test.pair, test.keys, Presented{Generation: test.generation}, start.Add(test.after), testRules)
		if got.Outcome != test.want || got.Theft != test.theft || got.Unproven != test.unproven || got.Next.BoundTo != test.boundTo {
			t.Errorf("%s: %v %q, unproven %v, bound to %q", test.name, got.Outcome, got.Theft, got.Unproven, got.Next.BoundTo)
		}
		if got.Unproven && got.Next != test.pair {
			t.Errorf("%s: it changes the pair", test.name)
		}
	}
}
