package refresh

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A session's absolute end cuts its tokens' lifetimes short, and never makes them
// longer: whichever of the two comes first is when a token ends.
func TestAbsoluteEndOnlyShortens(t *testing.T) {
	t.Parallel()
	const access, refresh = 5 * time.Minute, 720 * time.Hour
	now := start.Add(time.Hour)
	for name, test := range map[string]struct {
		end             time.Duration // from now; 0 for none
		access, refresh time.Duration // from now
	}{
		"none":                         {0, access, refresh},
		"far away":                     {24 * 365 * time.Hour, access, refresh},
		"just after the refresh token": {refresh + 1, access, refresh},
		"with the refresh token":       {refresh, access, refresh},
		"just before the refresh one":  {refresh - 1, access, refresh - 1},
		"just after the access token":  {access + 1, access, access + 1},
		"just before the access token": {access - 1, access - 1, access - 1},
	} {
		p := at(func(p *Pair) {
			if test.end != 0 {
				p.End = now.Add(test.end)
			}
		})
		for outcome, generation := range map[Outcome]int64{Rotated: 5, RetriedLate: 4, Healed: 6} {
			d := decide(p, Presented{Generation: generation}, now, testRules)
			if d.Outcome != outcome {
				t.Fatalf("%s: %v, want %v", name, d.Outcome, outcome)
			}
			if got := d.Next.AccessExpiresAt.Sub(now); got != test.access {
				t.Errorf("%s, %v: the access token lives for %v, want %v", name, outcome, got, test.access)
			}
			refreshEnd := now.Add(test.refresh)
			if outcome == RetriedLate { // hands out the same refresh token
				refreshEnd = p.ExpiresAt
			}
			if !d.Next.ExpiresAt.Equal(refreshEnd) {
				t.Errorf("%s, %v: the refresh token ends at %v, want %v", name, outcome, d.Next.ExpiresAt, refreshEnd)
			}
		}
	}
}

// However lifetimes are changed between refreshes, a session lives for as long as each of
// the access tokens that it has had, or until its absolute end, which they keep to as well.
func TestSessionOutlivesItsAccessTokens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, now := at(nil), start
		if rapid.Bool().Draw(t, "has an end") {
			p.End = start.Add(rapid.SampledFrom([]time.Duration{time.Hour, 10 * time.Hour, 100 * time.Hour}).Draw(t, "end"))
		}
		p.ExpiresAt, p.AccessExpiresAt = p.capped(p.ExpiresAt), p.capped(p.AccessExpiresAt)
		last := p.AccessExpiresAt
		for range 20 {
			r := testRules
			r.Defaults.AccessToken = rapid.SampledFrom([]time.Duration{time.Minute, time.Hour, MaxAccessTokenTTL}).Draw(t, "access token's")
			r.Defaults.RefreshToken = r.Defaults.AccessToken * time.Duration(rapid.SampledFrom([]int{2, 10, 1000}).Draw(t, "refresh token's"))
			if rapid.Bool().Draw(t, "lowered beneath a lifetime of its own") {
				p.Lifetimes.AccessToken = MaxAccessTokenTTL
			}
			now = now.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 50 * time.Minute, 5 * time.Hour}).Draw(t, "pause"))
			presented := Presented{Generation: p.Generation - int64(rapid.IntRange(0, 1).Draw(t, "behind"))}
			d := decide(p, presented, now, r)
			if d.Outcome == Refused || d.Outcome == Stolen {
				return
			}
			if p = d.Next; p.AccessExpiresAt.After(last) {
				last = p.AccessExpiresAt
			}
			if last.After(p.ExpiresAt) {
				t.Fatalf("after %v the session ends at %v, and an access token at %v", d.Outcome, p.ExpiresAt, last)
			}
		}
	})
}
