package sessionstore

import (
	"testing"
	"time"
)

// A pair of generation 5, which was issued at start and confirmed at once, and
// what a token brings of its key and of a proof.
func TestDecideBound(t *testing.T) {
	t.Parallel()
	const mine, his = "mine", "his"
	bound := func(p *pair) { p.BoundTo, p.ConfirmedAt = mine, start }
	unbound := func(p *pair) { p.ConfirmedAt = start }
	revoked := func(p *pair) { p.BoundTo, p.Revoked = mine, true }
	for _, test := range []struct {
		name       string
		pair       pair
		keys       keys
		generation int64
		after      time.Duration
		want       Outcome
		theft      Theft
		unproven   bool
		boundTo    string
	}{
		// The owner: every case as ever.
		{"rotation", at(bound), keys{mine, mine}, 5, time.Hour, Rotated, "", false, mine},
		{"still fresh", at(bound), keys{mine, mine}, 5, grace, StillFresh, "", false, mine},
		{"race", at(bound), keys{mine, mine}, 4, grace / 2, Raced, "", false, mine},
		{"late retry", at(func(p *pair) { p.BoundTo = mine }), keys{mine, mine}, 4, time.Hour, RetriedLate, "", false, mine},
		{"reuse with the key", at(bound), keys{mine, mine}, 3, time.Hour, Stolen, Old, false, mine},
		{"stale with the key", at(bound), keys{mine, mine}, 4, time.Hour, Stolen, Stale, false, mine},
		{"healed", at(unbound), keys{mine, mine}, 7, time.Hour, Healed, "", false, mine},
		{"revoked", at(revoked), keys{mine, mine}, 5, time.Hour, Refused, "", false, mine},

		// A thief with a copy, in each of these cases: nothing, and nobody is suspected.
		{"copy of the newest", at(bound), keys{mine, ""}, 5, time.Hour, Refused, "", true, mine},
		{"copy of the newest, another key", at(bound), keys{mine, his}, 5, time.Hour, Refused, "", true, mine},
		{"copy, still fresh", at(bound), keys{mine, his}, 5, grace, Refused, "", true, mine},
		{"copy within the grace", at(bound), keys{mine, ""}, 4, grace / 2, Refused, "", true, mine},
		{"copy within the grace, another key", at(bound), keys{mine, his}, 4, grace / 2, Refused, "", true, mine},
		{"copy where the answer was lost", at(func(p *pair) { p.BoundTo = mine }), keys{mine, his}, 4, time.Hour, Refused, "", true, mine},
		{"old copy", at(bound), keys{mine, ""}, 1, time.Hour, Refused, "", true, mine},
		{"copy of what the database lost", at(unbound), keys{mine, his}, 7, time.Hour, Refused, "", true, ""},
		{"copy of an ended session's", at(revoked), keys{mine, his}, 5, time.Hour, Refused, "", false, mine},

		// From before the binding, without the key.
		{"unbound copy within the grace", at(bound), keys{"", ""}, 4, grace / 2, Stolen, Unproven, false, mine},
		{"unbound copy, another key", at(bound), keys{"", his}, 4, time.Hour, Stolen, Unproven, false, mine},
		{"unbound copy of an ended session's", at(revoked), keys{"", ""}, 4, 0, Refused, "", false, mine},
		// With it: a second tab, a retry.
		{"unbound, with the key", at(bound), keys{"", mine}, 4, grace / 2, Raced, "", false, mine},

		// What answers a proof is bound.
		{"first proof", at(unbound), keys{"", mine}, 5, time.Hour, Rotated, "", false, mine},
		{"first proof, still fresh", at(unbound), keys{"", mine}, 5, grace, StillFresh, "", false, mine},
		{"first proof in a race", at(unbound), keys{"", mine}, 4, grace / 2, Raced, "", false, mine},
		{"a thief's proof binds nothing", at(unbound), keys{"", his}, 3, time.Hour, Stolen, Old, false, ""},
		{"no proof", at(unbound), keys{}, 5, time.Hour, Rotated, "", false, ""},
	} {
		got := decideBound(test.pair, test.keys, test.generation, start.Add(test.after), testRules)
		if got.Outcome != test.want || got.Theft != test.theft || got.Unproven != test.unproven || got.Next.BoundTo != test.boundTo {
			t.Errorf("%s: %v %q, unproven %v, bound to %q", test.name, got.Outcome, got.Theft, got.Unproven, got.Next.BoundTo)
		}
		if got.Unproven && got.Next != test.pair {
			t.Errorf("%s: it changes the pair", test.name)
		}
	}
}
