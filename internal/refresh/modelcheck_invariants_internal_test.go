//go:build !race

package refresh

// Invariants, as violations name them.
const (
	falseLogout  = "I1: an honest client was refused or taken for a thief"
	uselessPair  = "I1: an answer carries an access token that has expired"
	notToldApart = "I2: thief and victim both go on"
	revived      = "I3: a token of a revoked session was accepted"
	manyPairs    = "I4: one token gave several new pairs"
	slidWindow   = "I5: a replaced token was accepted as a race after its window"
	lingered     = "I6: a replaced access token was accepted after its window"
	superseded   = "I7: a superseded access token was accepted"
)

// present presents a refresh token. The pair is nil if it is refused.
func (s scenario) present(w *world, generation int8) (*token, effect) {
	before, honest := w.db, !w.robbed || s.twoStores
	d := s.decide(before.pair(s.settings), Presented{Generation: generationZero + int64(generation)}, s.now(), s.rules())
	e := effect{presented: true, outcome: d.Outcome}
	switch {
	case w.ended && d.Outcome != Refused:
		e.violation = revived
	case w.ended:
	case d.Outcome == Refused:
		e.violation = falseLogout
	case d.Outcome == Stolen:
		w.db.revoked, w.ended = true, true
		limitPassed := before.seen.lateAt == before.refresh-1 && before.seen.lateRetries >= s.lateRetryLimit
		if honest && (d.Theft != Lockstep || !limitPassed || s.lostForEver) {
			e.violation = falseLogout
		}
	default:
		w.db.write(d.Next, s.settings)
		if w.db.minted >= s.accessToken && honest {
			e.violation = uselessPair
		} else {
			e.violation = w.db.answered(generation, d.Outcome, s.settings)
		}
		return &w.db.token, e
	}
	return nil, e
}

// answered notes that the row's pair was the answer to a token, and returns the invariant that this breaks.
func (r *row) answered(generation int8, outcome Outcome, s settings) (violation string) {
	switch {
	case generation == r.seen.replaced && r.seen.rotated < s.grace-s.other.shorter && r.token != r.seen.by:
		violation = manyPairs
	case outcome == Raced && r.seen.issued >= s.grace && (r.seen.used == never || r.seen.used >= s.grace):
		violation = slidWindow
	}
	switch outcome {
	case Rotated, Healed:
		r.seen.replaced, r.seen.by, r.seen.rotated = generation, r.token, 0
		r.seen.issued, r.seen.used = 0, never
	case RetriedLate:
		r.seen.issued, r.seen.used = 0, never
		r.seen.by = r.token // the grace of the rotation was over, even if the clock is set back
		switch r.seen.lateAt {
		case r.refresh:
		case r.refresh - 1:
			r.seen.lateRetries = min(r.seen.lateRetries+1, s.lateRetryLimit)
		default:
			r.seen.lateRetries = 1
		}
		r.seen.lateAt = r.refresh
	case StillFresh:
		if r.seen.used == never && r.confirmed == 0 {
			r.seen.used = 0
		}
	case Raced, Refused, Stolen:
	}
	return violation
}
