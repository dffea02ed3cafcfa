//go:build !race

package refresh

import (
	"flag"
	"fmt"
	"testing"
)

// The files of the model check are not built with the race detector, which finds nothing in a search that is one goroutine's
// own, and makes it take eight times as long: make test runs it as well.

// The model check explores everything that can happen around decide, in a
// world that is small but has no chance in it: whatever the order, however
// often. Times are ticks and a grace is a few of them; generations count from
// the row's. So the states are finitely many, and breadth-first search visits
// every one that can be reached: what it does not find needs a larger world,
// not a longer run.
//
// The world (its states, steps, invariants and search have a file each):
//
//   - An honest client keeps its tokens in one store, which its tabs share.
//     At any moment it sends the store's refresh token or uses the access
//     token. The last answer that arrives is what the store holds.
//   - The client is answered by either of two replicas, which may differ in
//     their settings.
//   - The network delays and loses requests, answers, and uses; they overtake
//     each other. A server that refreshes for the client is part of it, as
//     long as its own checks of the new access token confirm nothing.
//   - The database may fall back once to an older committed state, and its
//     clock may be set again and again, forward and back; the session may be
//     revoked, and its access tokens superseded; a thief may copy the store and
//     then do anything with the copy.
//
// The invariants:
//
//   - I1: an honest client alone is never refused and never taken for a thief,
//     and no answer carries an access token that has expired.
//   - I2: if a thief and a victim both continue, they are detected within the
//     generations that the scenario states.
//   - I3: no token of a revoked session is accepted.
//   - I4: presentations of one token within the grace of its rotation, the shorter one of
//     replicas that differ, give one new pair, except for an access token that is
//     superseded meanwhile.
//   - I5: a replaced token is accepted as a race for less than a grace after
//     its successor was issued or first seen in a use that counts, however
//     often it comes.
//   - I6: a replaced access token is accepted for less than a grace after its
//     successor was issued, and only if it is the direct predecessor.
//   - I7: once access tokens were superseded, none that was issued before is accepted.
//
// TestModelCheckAssumptions shows that these assumptions are needed:
//
//   - All of a client's requests share one store.
//   - Only the client's own use of a pair confirms it, not that of a server
//     that has refreshed for it.
//   - A request and its answer, or a use and its record, together take less than a grace,
//     the shorter one of replicas that differ, by the database's clock, even if that is
//     set meanwhile.
//   - No replica goes by its own clock.
//   - A failover takes longer than two of them, and loses no revocation.
//   - Answers get lost in at most lateRetryLimit generations in a row.
//   - For I2, that the two keep the distance that their scenario says.
//
// With -v each test says how many states there were and prints the shortest
// way to each violation. Larger worlds take a few minutes and two gigabytes:
//
//	go test ./internal/refresh -run ModelCheck -v -timeout 30m -depth 2

var modelDepth = flag.Int("depth", 1, "the world of the model checks: 1 for the usual one, 2 for finer ticks and more messages at once")

// inTicks makes a grace this many ticks, and everything else the limit of what the assumptions allow.
func (s scenario) inTicks(grace int8) scenario {
	s.grace, s.patience = grace, grace-1
	s.outage = 2*s.patience + 1
	s.accessToken = FreshGraces*grace + 1
	return s
}

func scenarioOf(name string, grace int8, change func(*scenario)) scenario {
	s := scenario{name: name, settings: settings{lateRetryLimit: 2, inFlight: 2, lost: 1}, decide: decide, accepts: Rules.AcceptsAccess}
	s = s.inTicks(grace)
	change(&s)
	return s
}

var (
	honest   = scenarioOf("an honest client", 3, func(*scenario) {})
	failures = scenarioOf("an honest client and a failover", 2, func(s *scenario) { s.failover = true })
	// The grace was raised when the session was there: its access token lives for
	// less than a pair stays fresh.
	outlived = scenarioOf("an honest client whose access token is short-lived", 2, func(s *scenario) { s.accessToken = FreshGraces*s.grace - 2 })
	// A request, its answer and what the clock is set by take less than a grace together.
	clocks = scenarioOf("an honest client and a clock that is set", 3, func(s *scenario) { s.patience, s.skew = 1, 1 })
	// The server that takes over has its own clock.
	takeover = clocks.named("as another server takes over", func(s *scenario) { s.failover, s.outage, s.inFlight = true, 2*s.patience+1, 1 })
	// While replicas are replaced one by one, two of them differ in their grace.
	rollout = honest.named("replicas with two graces", func(s *scenario) { s.other.shorter, s.patience = 1, 1 })
	hostile = scenarioOf("a thief and a revocation", 2, func(s *scenario) { s.thief, s.revocation = true, true })
	// The access tokens are superseded again and again.
	replaced = scenarioOf("an honest client whose access tokens are superseded", 2, supersedes)
	// A use of a superseded token is none. So each time it may take the two a generation
	// longer, but no longer than where no use is seen.
	delayed = busy.named("access tokens are superseded", func(s *scenario) { s.supersedes, s.toldApart = SupersededBy, s.lateRetryLimit+2 })
	lasting = scenarioOf("a revocation and a failover", 2, func(s *scenario) { s.revocation, s.failover, s.inFlight = true, true, 1 })

	// If both use their access tokens where the service sees it, the first turn after a use that counts distinguishes
	// them. Uses count from five graces after the previous pair was issued, so either the turns are so far apart or the
	// two continue using what they have.
	visible = scenarioOf("a thief who is seen", 2, func(s *scenario) {
		s.thief, s.turns, s.answersLost, s.thiefUses = true, true, true, true
		s.spacing, s.toldApart = SettleGraces*s.grace, 2
	})
	busy = scenarioOf("a busy thief who is seen", 2, func(s *scenario) {
		s.thief, s.turns, s.answersLost, s.thiefUses, s.busy = true, true, true, true, true
		s.spacing, s.toldApart = FreshGraces*s.grace, 2
	})
	// Where no use need be seen, the limit of late retries does it.
	unseen = scenarioOf("a thief who is not seen", 2, func(s *scenario) {
		s.thief, s.turns, s.answersLost, s.recordsLost = true, true, true, true
		s.spacing, s.toldApart = s.grace, s.lateRetryLimit+2
	})
)

// named is the scenario in another world.
func (s scenario) named(where string, change func(*scenario)) scenario {
	s.name += ", " + where
	change(&s)
	return s
}

func supersedes(s *scenario) { s.supersedes = SupersededBy }

func (s scenario) limited(limit int8) scenario {
	return s.named(fmt.Sprintf("limit %d", limit), func(s *scenario) { s.lateRetryLimit, s.toldApart = limit, limit+2 })
}

func TestModelCheck(t *testing.T) {
	t.Parallel()
	shorter := func(s scenario, grace int8) scenario {
		return s.named(fmt.Sprintf("%d ticks a grace", grace), func(s *scenario) { *s = s.inTicks(grace) })
	}
	crowded := func(s scenario, inFlight int) scenario {
		return s.named(fmt.Sprintf("%d messages", inFlight), func(s *scenario) { s.inFlight = inFlight })
	}
	scenarios := []scenario{
		shorter(honest, 4), honest.named("replaced access tokens are refused", refuseReplaced), crowded(shorter(honest, 2), 3), failures, outlived, clocks, takeover, rollout, hostile, lasting, visible, busy, unseen, unseen.limited(3),
		replaced, replaced.named("replaced access tokens are refused", refuseReplaced), failures.named("access tokens are superseded", supersedes),
		hostile.named("access tokens are superseded", supersedes), visible.named("access tokens are superseded", supersedes), delayed, unseen.named("access tokens are superseded", supersedes),
	}
	if *modelDepth > 1 {
		further := failures.named("more is lost", func(s *scenario) { s.lost = 2 })
		scenarios = append(scenarios,
			shorter(honest, 6), crowded(shorter(honest, 4), 3), crowded(honest, 4),
			shorter(further, 3), crowded(failures, 3),
			crowded(shorter(hostile, 3), 3), crowded(shorter(lasting, 3), 2),
			unseen.limited(DefaultLateRetryLimit),
		)
	}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			f := s.search()
			t.Log(f)
			if f.violation != "" || !f.complete {
				t.Error("decide breaks an invariant, or the world is too large")
			}
			if f.generations != s.toldApart {
				t.Errorf("thief and victim are told apart within %d generations, not %d", f.generations, s.toldApart)
			}
		})
	}
}

// None of the assumptions is redundant: without it decide breaks an invariant.
// Where a change of the rules makes one unnecessary, its line fails.
func TestModelCheckAssumptions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		without string
		world   scenario
		change  func(*scenario)
		want    string
	}{
		{"one store", hostile, func(s *scenario) { s.twoStores = true }, falseLogout},
		{"less than a grace for a request and its answer", honest, func(s *scenario) { s.patience = s.grace }, falseLogout},
		{"a grace for what the clock is set by too", clocks, func(s *scenario) { s.skew = s.grace - s.patience }, falseLogout},
		{"less than the shorter grace for a request and its answer", rollout, func(s *scenario) { s.patience = s.grace - s.other.shorter }, falseLogout},
		{"one clock for all replicas, of which none is ahead", honest, func(s *scenario) { s.other.ahead = 1 }, manyPairs},
		{"one clock for all replicas, of which none is behind", honest, func(s *scenario) { s.other.ahead = -1 }, manyPairs},
		{"more than two requests' time for a failover", failures, func(s *scenario) { s.outage = 2 * s.patience }, falseLogout},
		{"failovers that lose no revocation", lasting, func(s *scenario) { s.revocationLost = true }, revived},
		{"uses that are the client's own", honest, func(s *scenario) { s.serverConfirms = true }, falseLogout},
		{"answers now and then", honest, func(s *scenario) { s.lostForEver = true }, falseLogout},
		{"five graces between turns", visible, func(s *scenario) { s.spacing-- }, notToldApart},
		{"three graces between busy turns", busy, func(s *scenario) { s.spacing-- }, notToldApart},
		{"a grace between unseen turns", unseen, func(s *scenario) { s.spacing-- }, notToldApart},
	} {
		t.Run(test.without, func(t *testing.T) {
			t.Parallel()
			s := test.world
			test.change(&s)
			expectViolation(t, s, test.want)
		})
	}
}

// The fresh period and the time until uses count are as short as they can be.
// Time in ticks hides a little: as a request takes a tick less than a grace,
// two ticks less would do, whatever a tick is. A third would not.
func TestModelCheckPeriods(t *testing.T) {
	t.Parallel()
	graces := []int8{3}
	if *modelDepth > 1 {
		graces = append(graces, 4, 5, 6)
	}
	for _, grace := range graces {
		t.Run(fmt.Sprintf("%d ticks a grace", grace), func(t *testing.T) {
			t.Parallel()
			s := honest.inTicks(grace)
			fresh, settle := FreshGraces*grace, SettleGraces*grace
			for _, test := range []struct {
				fresh, settle int8
				want          string
			}{
				{fresh - 2, settle, ""},
				{fresh - 3, settle, falseLogout},
				{fresh, settle - 2, ""},
				{fresh, settle - 3, falseLogout},
			} {
				s.decide = withPeriods(test.fresh, test.settle)
				expectViolation(t, s, test.want)
			}
		})
	}
}

func expectViolation(t *testing.T, s scenario, want string) {
	t.Helper()
	f := s.search()
	t.Log(f)
	if f.violation != want {
		t.Errorf("found %q, want %q", f.violation, want)
	}
}
