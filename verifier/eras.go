package verifier

import (
	"sync/atomic"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// eras are the last sign-outs of everyone. Any number of goroutines may read, and one at a time
// may write.
type eras struct {
	// last is what the source says. It is never dropped: a token that was made while the clock
	// was ahead may live for any time.
	last atomic.Pointer[signOut]
	// kept is a later one that the source has forgotten.
	kept atomic.Pointer[signOut]
}

// signOut ends the sessions of earlier eras.
type signOut struct {
	era, before int64
	until       uint32
}

// add records a sign-out. The latest era counts.
func (e *eras) add(r Revocation) {
	if last := e.last.Load(); last == nil || last.era < r.Era {
		e.last.Store(&signOut{r.Era, r.Before, toSeconds(r.Until)})
	}
}

// keep notes the latest one of earlier eras, if that is not known here, and its time was not over at a
// given time.
func (e *eras) keep(earlier *eras, over uint32) {
	last := e.last.Load()
	for _, s := range []*signOut{earlier.last.Load(), earlier.kept.Load()} {
		if kept := e.kept.Load(); s != nil && s.until >= over && (last == nil || last.era < s.era) && (kept == nil || kept.era < s.era) {
			e.kept.Store(s)
		}
	}
}

// sweep drops the kept sign-out once its time is over, or the source has it again.
func (e *eras) sweep(over uint32) {
	kept, last := e.kept.Load(), e.last.Load()
	if kept != nil && (kept.until < over || last != nil && last.era >= kept.era) {
		e.kept.Store(nil)
	}
}

// verdict is live unless everyone was signed out since the token's session began.
func (e *eras) verdict(token *tokens.Claims) verdict {
	last, kept := e.last.Load().verdict(token), e.kept.Load().verdict(token)
	switch {
	case last == revoked || kept == revoked:
		return revoked
	case last == unknown || kept == unknown:
		return unknown
	}
	return live
}

func (s *signOut) verdict(token *tokens.Claims) verdict {
	switch {
	case s == nil || token.Era >= s.era:
		return live
	case token.IssuedAt.Unix() < s.before:
		return revoked
	}
	return unknown
}

// each visits the sign-outs, for the feed.
func (e *eras) each(visit func(Revocation)) {
	for _, s := range []*signOut{e.last.Load(), e.kept.Load()} {
		if s != nil {
			visit(Revocation{Era: s.era, Before: s.before, Until: int64(s.until)})
		}
	}
}
