package refresh

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const grace = 15 * time.Second

var (
	testRules = Rules{Grace: grace, LateRetryLimit: 8, Defaults: Lifetimes{AccessToken: 5 * time.Minute, RefreshToken: 720 * time.Hour}}
	start     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// at is the pair of generation 5, which was issued at start.
func at(change func(*Pair)) Pair {
	p := Pair{
		Generation: 5, CreatedAt: start, IssuedAt: start, ExpiresAt: start.Add(720 * time.Hour),
		AccessGeneration: 9, AccessExpiresAt: start.Add(5 * time.Minute),
	}
	if change != nil {
		change(&p)
	}
	return p
}

// issuedWith is that it was issued with another grace.
func issuedWith(grace time.Duration) func(*Pair) { return func(p *Pair) { p.Grace = grace } }

// The table reads like the protocol's: a token of generation t is presented to
// a pair of generation 5, a given time after the pair was issued.
func TestDecide(t *testing.T) {
	t.Parallel()
	confirmed := func(after time.Duration) func(*Pair) {
		return func(p *Pair) { p.ConfirmedAt = start.Add(after) }
	}
	retried := func(generation int64, inARow int) func(*Pair) {
		return func(p *Pair) { p.LateRetryGeneration, p.LateRetries = generation, inARow }
	}
	never := func(p *Pair) { p.Generation, p.IssuedAt = 5, time.Time{} }
	for _, test := range []struct {
		name       string
		pair       Pair
		generation int64
		after      time.Duration
		want       Outcome
		theft      Theft
	}{
		// 1: refused
		{"revoked", at(func(p *Pair) { p.Revoked = true }), 5, time.Hour, Refused, ""},
		{"revoked, with an old token", at(func(p *Pair) { p.Revoked = true }), 1, time.Hour, Refused, ""},
		{"revoked, with a token ahead", at(func(p *Pair) { p.Revoked = true }), 9, time.Hour, Refused, ""},
		{"just not idle for too long", at(nil), 5, 720*time.Hour - 1, Rotated, ""},
		{"idle for too long", at(nil), 5, 720 * time.Hour, Refused, ""},
		{"idle for too long, with an old token", at(nil), 3, 720 * time.Hour, Refused, ""},
		{"just before its absolute end", at(func(p *Pair) { p.End = start.Add(time.Hour) }), 5, time.Hour - 1, Rotated, ""},
		{"at its absolute end", at(func(p *Pair) { p.End = start.Add(time.Hour) }), 5, time.Hour, Refused, ""},

		// 2: rotation
		{"the first token, at once", at(never), 5, 0, Rotated, ""},
		{"the newest", at(nil), 5, 3 * grace, Rotated, ""},
		{"the newest, in use", at(confirmed(time.Second)), 5, time.Hour, Rotated, ""},

		// 3: still fresh
		{"the newest, at once", at(nil), 5, 0, StillFresh, ""},
		{"the newest, just too early", at(nil), 5, 3*grace - 1, StillFresh, ""},
		{"the newest, issued with a longer grace, just too early", at(issuedWith(time.Hour)), 5, 3*time.Hour - 1, StillFresh, ""},
		{"the newest, too early, in use", at(confirmed(time.Second)), 5, grace, StillFresh, ""},

		// 4: race
		{"the predecessor, at once", at(nil), 4, 0, Raced, ""},
		{"the predecessor, within the grace", at(nil), 4, grace - 1, Raced, ""},
		{"the predecessor, shortly after the first use", at(confirmed(grace)), 4, 2*grace - 1, Raced, ""},
		{"the predecessor, shortly after a late first use", at(confirmed(time.Hour)), 4, time.Hour + grace - 1, Raced, ""},

		// 5: late retry
		{"the predecessor, never seen in use", at(nil), 4, grace, RetriedLate, ""},
		{"the predecessor, never seen in use, weeks later", at(nil), 4, 700 * time.Hour, RetriedLate, ""},
		{"the predecessor of one that was issued with a shorter grace, after that", at(issuedWith(time.Second)), 4, time.Second, RetriedLate, ""},
		{"a late retry again in the same generation", at(retried(5, 8)), 4, grace, RetriedLate, ""},
		{"the eighth generation in a row", at(retried(4, 7)), 4, grace, RetriedLate, ""},
		{"after a generation without one", at(retried(3, 8)), 4, grace, RetriedLate, ""},

		// 6: theft
		{"stale: the predecessor after its successor's use", at(confirmed(time.Second)), 4, time.Second + grace, Stolen, Stale},
		{"stale: counted from the issue, if that is later", at(confirmed(-time.Hour)), 4, grace, Stolen, Stale},
		{"lockstep: the ninth generation in a row", at(retried(4, 8)), 4, grace, Stolen, Lockstep},
		{"old: two behind, at once", at(nil), 3, 0, Stolen, Old},
		{"old: far behind", at(nil), 0, time.Hour, Stolen, Old},

		// 7: healed
		{"one ahead", at(nil), 6, 0, Healed, ""},
		{"far ahead, in use", at(confirmed(0)), 50, time.Hour, Healed, ""},
	} {
		got := decide(test.pair, Presented{Generation: test.generation}, start.Add(test.after), testRules)
		if got.Outcome != test.want || got.Theft != test.theft {
			t.Errorf("%s: %v %s, want %v %s", test.name, got.Outcome, got.Theft, test.want, test.theft)
		}
	}
}

// The pair after each outcome.
func TestDecideNext(t *testing.T) {
	t.Parallel()
	now := start.Add(time.Hour)
	confirmed := func(p *Pair) { p.ConfirmedAt = start }
	expiring := func(p *Pair) { p.AccessExpiresAt = start.Add(20 * time.Second) }
	lasts := func(d time.Duration) func(*Pair) { return func(p *Pair) { p.AccessExpiresAt = start.Add(d) } }
	ends := func(p *Pair) { p.End = p.AccessExpiresAt }
	lowered := func(p *Pair) { p.Lifetimes = Lifetimes{AccessToken: time.Minute, RefreshToken: time.Hour} }
	rotated := func(p *Pair) {
		p.Generation, p.CreatedAt, p.IssuedAt, p.SettledAt, p.ExpiresAt = 6, now, now, now, now.Add(720*time.Hour)
		p.AccessGeneration, p.AccessExpiresAt, p.Grace = 10, now.Add(5*time.Minute), grace
	}
	both := func(changes ...func(*Pair)) func(*Pair) {
		return func(p *Pair) {
			for _, change := range changes {
				change(p)
			}
		}
	}
	settled := func(p *Pair) { p.SettledAt = start.Add(2 * time.Second) }
	first := func(p *Pair) { p.Generation, p.IssuedAt = 0, time.Time{} }
	own := func(p *Pair) {
		p.Lifetimes = Lifetimes{AccessToken: time.Hour, RefreshToken: 24 * time.Hour}
		p.End = start.Add(90 * time.Minute)
	}
	for _, test := range []struct {
		name       string
		pair       Pair
		generation int64
		now        time.Time
		want       Pair
	}{
		{"rotation", at(confirmed), 5, now, at(rotated)},
		{
			"rotation with lifetimes of its own, capped at the absolute end", at(own), 5, now,
			at(both(rotated, own, func(p *Pair) { p.ExpiresAt, p.AccessExpiresAt = p.End, p.End })),
		},
		{
			"still fresh: presenting it confirms it", at(nil), 5, start.Add(time.Second),
			at(func(p *Pair) { p.ConfirmedAt = start.Add(time.Second) }),
		},
		{
			"still fresh, but not its access token: it gets another, and no more time", at(both(confirmed, expiring)), 5, start.Add(time.Second),
			at(both(confirmed, func(p *Pair) { p.AccessGeneration, p.AccessExpiresAt = 10, start.Add(time.Second+5*time.Minute) })),
		},
		{
			"still fresh, its access token not quite in the last tenth of its life", at(both(confirmed, lasts(61500*time.Millisecond))), 5, start.Add(30500 * time.Millisecond),
			at(both(confirmed, lasts(61500*time.Millisecond))),
		},
		{
			"still fresh, its access token in the last tenth, in whole seconds", at(both(confirmed, lasts(61500*time.Millisecond))), 5, start.Add(31 * time.Second),
			at(both(confirmed, lasts(331*time.Second), func(p *Pair) { p.AccessGeneration = 10 })),
		},
		{
			"still fresh, its access token ends with the session: another would end then too", at(both(confirmed, expiring, ends)), 5, start.Add(time.Second),
			at(both(confirmed, expiring, ends)),
		},
		{
			"rotation after its lifetimes were lowered: it outlives the access tokens that may have been made before", at(both(confirmed, lowered)), 5, now,
			at(both(rotated, lowered, func(p *Pair) { p.ExpiresAt, p.AccessExpiresAt = start.Add(MaxAccessTokenTTL), now.Add(time.Minute) })),
		},
		{
			"still fresh and not settled: it does not count yet", at(settled), 5, start.Add(time.Second),
			at(settled),
		},
		{
			"a rotation that comes early: uses count once no answer of the pair before can be under way", at(nil), 5, start.Add(3 * grace),
			Pair{
				Generation: 6, CreatedAt: start.Add(3 * grace), IssuedAt: start.Add(3 * grace), SettledAt: start.Add(5 * grace), Grace: grace,
				ExpiresAt: start.Add(3*grace + 720*time.Hour), AccessGeneration: 10,
				AccessExpiresAt: start.Add(3*grace + 5*time.Minute),
			},
		},
		{
			"a pair that was issued with another grace: its uses count by that, the next one's windows do not", at(issuedWith(time.Hour)), 5, start.Add(4 * time.Hour),
			at(both(rotated, func(p *Pair) {
				p.CreatedAt, p.IssuedAt, p.SettledAt = start.Add(4*time.Hour), start.Add(4*time.Hour), start.Add(5*time.Hour)
				p.ExpiresAt, p.AccessExpiresAt = start.Add(724*time.Hour), start.Add(4*time.Hour+5*time.Minute)
			})),
		},
		{"the first rotation: uses count at once", at(first), 0, now, at(both(rotated, func(p *Pair) { p.Generation = 1 }))},
		{"still fresh and confirmed: nothing is written", at(confirmed), 5, start.Add(time.Second), at(confirmed)},
		{"race: nothing is written, so nothing is extended", at(nil), 4, start.Add(time.Second), at(nil)},
		{
			"late retry: the same refresh token, a new access token, issued now", at(nil), 4, now,
			at(func(p *Pair) {
				p.IssuedAt, p.LateRetryGeneration, p.LateRetries = now, 5, 1
				p.AccessGeneration, p.AccessExpiresAt, p.Grace = 10, now.Add(5*time.Minute), grace
			}),
		},
		{
			"healed: the generations that were lost are skipped", at(confirmed), 9, now,
			at(both(rotated, func(p *Pair) { p.Generation, p.AccessGeneration = 10, 14 })),
		},
	} {
		got := decide(test.pair, Presented{Generation: test.generation}, test.now, testRules)
		if diff := cmp.Diff(test.want, got.Next); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// The row determines whether a token has expired, if it is the newest; its own
// signature's, if the row is at an older or at a newer one.
func TestDecideExpiry(t *testing.T) {
	t.Parallel()
	const idle = 720 * time.Hour
	for _, test := range []struct {
		name       string
		pair       Pair
		generation int64
		expires    time.Duration // after start
		after      time.Duration
		want       Outcome
	}{
		{"the newest: the row says that it is good", at(nil), 5, time.Hour, 2 * time.Hour, Rotated},
		{"the newest: the row says that it is over", at(nil), 5, 2 * idle, idle, Refused},
		{"ahead of a row whose idle time is over", at(nil), 6, 2 * idle, idle, Healed},
		{"ahead, at its last moment", at(nil), 6, 2 * idle, 2*idle - 1, Healed},
		{"ahead, but expired", at(nil), 6, time.Hour, time.Hour, Refused},
		{"ahead, and the session revoked", at(func(p *Pair) { p.Revoked = true }), 6, 2 * idle, time.Hour, Refused},
		{"ahead, and the session at its end", at(func(p *Pair) { p.End = start.Add(idle) }), 6, 2 * idle, idle, Refused},
		{"the predecessor, expired: no theft", at(func(p *Pair) { p.ConfirmedAt = start }), 4, time.Hour, time.Hour, Refused},
		{"the predecessor, at its last moment", at(func(p *Pair) { p.ConfirmedAt = start }), 4, time.Hour, time.Hour - 1, Stolen},
		{"an old one, expired: no theft", at(nil), 1, time.Hour, idle - 1, Refused},
	} {
		got := decide(test.pair, Presented{test.generation, start.Add(test.expires)}, start.Add(test.after), testRules)
		if got.Outcome != test.want {
			t.Errorf("%s: %v, want %v", test.name, got.Outcome, test.want)
		}
	}
}

func TestOutcomeNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for o := Refused; o <= Healed; o++ {
		seen[o.String()] = true
	}
	if len(seen) != 7 || seen[""] {
		t.Errorf("the outcomes are called %v", seen)
	}
}
