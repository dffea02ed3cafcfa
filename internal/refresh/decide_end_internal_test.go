package refresh

import (
	"testing"
	"time"
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
