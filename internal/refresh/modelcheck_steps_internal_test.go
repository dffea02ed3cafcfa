//go:build !race

package refresh

import (
	"slices"
	"time"
)

// The steps of the model.

// scenario says which of it can happen.
type scenario struct {
	name string
	settings
	decide  decider
	accepts accepter
	// failover lets the database fall back once to an older committed state.
	failover bool
	// revocation lets the session be revoked at any moment.
	revocation bool
	// supersedes is how much superseding access tokens raises the access
	// generation, at any moment and however often; zero for never.
	supersedes int8
	// thief lets a thief copy the store at any moment.
	thief bool

	// turns are taken by victim and thief in place of the network: each
	// refreshes, gets its answer, and continues with its access token. No client has more than two in a row.
	turns       bool
	spacing     int8 // ticks between two turns, or more
	thiefUses   bool // the thief, too, uses access tokens visibly
	busy        bool // and does so all the time, not only after refreshing
	answersLost bool // an answer to the victim may be lost
	recordsLost bool // any use may go unseen; those that are seen come a grace or more before the next turn
	toldApart   int8 // within this many generations the two must have been distinguished

	// Assumptions that are dropped.
	twoStores      bool // the holder of the copy is not a thief
	revocationLost bool // a failover may lose a revocation
	byNumber       bool // Get records a use of any access token that has the row's number
	oldConfirms    bool // Get records a use of the access token before the row's, too
	serverConfirms bool // a server between client and service uses each new pair at once, and that counts as a use
	lostForEver    bool // answers get lost in more generations in a row than lateRetryLimit
}

// decider is decide or a mutant of it.
type decider func(p Pair, t Presented, now time.Time, r Rules) Decision

// accepter is Rules.AcceptsAccess or a mutant of it.
type accepter func(r Rules, generation, newest int64, mintedAt, now time.Time) bool

// action is a step that was taken.
type action struct {
	kind actionKind
	slot int8 // of the message; for actSetClock by how many ticks
	at   replica
	effect
	moved token // how far the row's generations went
}

type actionKind int8

const (
	actTick actionKind = iota
	actSendRefresh
	actSendUse
	actDeliver
	actLose
	actStandbyLags
	actFailOver
	actSetClock
	actRevoke
	actSupersede
	actRob
	actThiefRefreshes
	actThiefUses
	actVictim
	actVictimUnrecorded
	actVictimUnanswered
	actThief
)

// effect is what became of a step.
type effect struct {
	presented bool    // a refresh token was presented …
	outcome   Outcome // … with this outcome
	violation string  // the invariant that it broke, if any
}

// steps calls emit with every step that is possible in w and the world after it, whichever replica answers.
func (s scenario) steps(w world, emit func(action, world)) {
	s.stepsAt(w, emit)
	if s.other != s.at {
		s.at = s.other
		s.stepsAt(w, emit)
	}
}

func (s scenario) stepsAt(w world, emit func(action, world)) {
	step := func(kind actionKind, slot int, do func(w *world) effect) {
		next := w
		e := do(&next)
		moved := token{refresh: next.db.refresh - w.db.refresh, access: next.db.access - w.db.access}
		emit(action{kind, int8(slot), s.at, e, moved}, next.canonical(s.settings))
	}
	step(actTick, 0, func(w *world) effect { w.tick(s); return s.useOnTick(w) })
	if s.thief && !w.robbed {
		step(actRob, 0, func(w *world) effect { w.thief, w.robbed = w.store, true; return effect{} })
	}
	if s.supersedes > 0 && !w.ended && w.down == 0 {
		step(actSupersede, 0, func(w *world) effect {
			w.db.seen.below = w.db.access + 1
			w.db.access, w.db.seen.by.access = w.db.access+s.supersedes, w.db.seen.by.access+s.supersedes
			return effect{}
		})
	}
	if s.turns {
		s.turnSteps(w, step)
		return
	}
	if free := slices.IndexFunc(w.inFlight[:s.inFlight], func(m message) bool { return m.kind == noMessage }); free >= 0 {
		step(actSendRefresh, free, func(w *world) effect {
			w.inFlight[free] = message{kind: aRequest, token: w.store}
			return effect{}
		})
		if s.getAccepts(w, w.store) {
			step(actSendUse, free, func(w *world) effect {
				w.inFlight[free] = message{kind: aUse, token: w.store}
				return s.accepted(w, w.store)
			})
		}
	}
	for i, m := range w.inFlight {
		if m.kind == noMessage {
			continue
		}
		if m.kind == anAnswer || w.down == 0 {
			step(actDeliver, i, func(w *world) effect { return s.deliver(w, i) })
		}
		step(actLose, i, func(w *world) effect { w.inFlight[i] = message{}; return effect{} })
	}
	if s.failover && w.failover == notYet {
		step(actStandbyLags, 0, func(w *world) effect { w.standby, w.failover = w.db, lagging; return effect{} })
	}
	if s.failover && w.failover == lagging {
		step(actFailOver, 0, func(w *world) effect {
			w.lose()
			w.db, w.failover, w.down = w.standby, failedOver, s.outage
			w.db.revoked = w.ended && !s.revocationLost
			return effect{}
		})
	}
	for to := range s.skew + 1 {
		if by := to - w.clock; by != 0 {
			step(actSetClock, int(by), func(w *world) effect {
				w.db.pass(by, s.settings)
				w.standby.pass(by, s.settings)
				w.clock = to
				return effect{}
			})
		}
	}
	if s.revocation && !w.ended && w.down == 0 {
		step(actRevoke, 0, func(w *world) effect { w.db.revoked, w.ended = true, true; return effect{} })
	}
	if w.robbed && w.down == 0 {
		// The thief's messages need no separate time: the thief acts when they arrive.
		step(actThiefRefreshes, 0, func(w *world) effect {
			pair, e := s.present(w, w.thief.refresh)
			if pair != nil {
				w.thief = *pair
			}
			return e
		})
		if s.getAccepts(w, w.thief) {
			step(actThiefUses, 0, func(w *world) effect { s.recordUse(w, w.thief); return s.accepted(w, w.thief) })
		}
	}
}

// turnSteps are the turns that victim and thief can take.
func (s scenario) turnSteps(w world, step func(actionKind, int, func(*world) effect)) {
	if s.recordsLost && !w.ended && w.rested <= s.spacing-s.grace {
		step(actSendUse, 0, func(w *world) effect { s.recordUse(w, w.store); return effect{} })
		if w.robbed {
			step(actThiefUses, 0, func(w *world) effect { s.recordUse(w, w.thief); return effect{} })
		}
	}
	if w.rested < s.spacing || w.ended {
		return
	}
	if w.streak < 2 {
		victim := func(kind actionKind, answered, recorded bool) {
			step(kind, 0, func(w *world) effect {
				if w.robbed {
					w.streak = max(w.streak, 0) + 1
				}
				return s.turn(w, &w.store, answered, recorded)
			})
		}
		victim(actVictim, true, true)
		if s.recordsLost {
			victim(actVictimUnrecorded, true, false)
		}
		if s.answersLost {
			victim(actVictimUnanswered, false, false)
		}
	}
	if w.robbed && w.streak > -2 {
		step(actThief, 0, func(w *world) effect {
			w.streak = min(w.streak, 0) - 1
			return s.turn(w, &w.thief, true, s.thiefUses)
		})
	}
}

// useOnTick has the busy use their access tokens.
func (s scenario) useOnTick(w *world) effect {
	if s.busy {
		s.recordUse(w, w.store)
	}
	if s.busy && w.robbed && s.thiefUses {
		s.recordUse(w, w.thief)
	}
	return effect{}
}

// turn refreshes for one of the two, who then continues with the access token.
func (s scenario) turn(w *world, holder *token, answered, recorded bool) effect {
	before := w.db.refresh
	pair, e := s.present(w, holder.refresh)
	if pair != nil && answered {
		*holder = *pair
		if recorded {
			s.recordUse(w, *pair)
		}
	}
	w.rested = 0
	if w.robbed {
		w.turns++
		w.parting += w.db.refresh - before
		if !w.ended && (w.parting > s.toldApart || w.turns > 7*s.toldApart) {
			e.violation = notToldApart
		}
	}
	return e
}

// getAccepts reports whether Get accepts an access token.
func (s scenario) getAccepts(w world, t token) bool {
	// A generation above the row's was lost in a failover: such a token may be good for long.
	// How long the predecessor of the row's token is valid is not modelled: any time.
	p := w.db.pair(s.settings)
	return !w.db.revoked && w.down == 0 && (t.access != w.db.access || w.db.minted < s.accessToken) &&
		s.accepts(s.rules().Of(p.Grace), int64(t.access), int64(w.db.access), p.MintedAt(), s.now())
}

// accepted is an accepted access token's effect.
func (s scenario) accepted(w *world, t token) effect {
	switch {
	case w.ended:
		return effect{violation: revived}
	case t.access < w.db.seen.below:
		return effect{violation: superseded}
	case t.access < w.db.access-1, t.access < w.db.access && w.db.seen.issued >= s.grace:
		return effect{violation: lingered}
	}
	return effect{}
}

// recordUse is what Get does off its answer's path.
func (s scenario) recordUse(w *world, t token) {
	r := &w.db
	isBefore := s.oldConfirms && t.access == r.access-1
	if r.revoked || r.unsettled > 0 || t.access != r.access && !isBefore || t.lost && !s.byNumber {
		return
	}
	if r.confirmed == never {
		r.confirmed = 0
	}
	if r.seen.used == never {
		r.seen.used = 0
	}
}

// deliver lets a message arrive.
func (s scenario) deliver(w *world, slot int) effect {
	m := &w.inFlight[slot]
	arrived := *m
	*m = message{}
	switch arrived.kind {
	case aRequest:
		pair, e := s.present(w, arrived.token.refresh)
		if pair != nil {
			*m = message{anAnswer, arrived.age, *pair}
			if s.serverConfirms {
				s.recordUse(w, *pair)
			}
		}
		return e
	case anAnswer:
		w.store = arrived.token // though a newer pair may have overtaken it
	case aUse:
		s.recordUse(w, arrived.token)
	case noMessage:
	}
	return effect{}
}
