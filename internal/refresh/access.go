package refresh

import "time"

// SupersededBy is how many generations an immediate replacement of a pair's access tokens
// adds to the newest one's. So no issued token is its predecessor.
const SupersededBy = 2

// AcceptsAccess reports whether a strict check accepts an access token of the given
// generation while its session lives: the pair's newest, and for a grace after its successor was issued the previous
// one, which requests under way still carry: see also [SupersededBy].
//
// A generation above the pair's is accepted too: our signature proves that it was
// issued, so the database has lost commits.
func (r Rules) AcceptsAccess(generation, newest int64, mintedAt, now time.Time) bool {
	if generation >= newest {
		return true
	}
	return !r.RefuseReplaced && generation == newest-1 && now.Before(mintedAt.Add(r.Grace))
}
