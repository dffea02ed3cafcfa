package sessionstore_test

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// The state machine's model, written from the protocol's text and not from the
// code that it checks.

const (
	walkLateRetryLimit = 2
	// For this long after its issue a pair is returned again; and so long after its
	// predecessor's issue its use begins to count.
	fresh   = 3 * grace
	settles = 5 * grace
)

// modelSession is what the protocol says is stored of a session.
type modelSession struct {
	subject, data    string
	claims           string // its own
	created, updated time.Time
	revoked          time.Time
	cause            sessionstore.Cause // of its revocation
	signedOut        time.Time          // when everyone was first signed out since it began
	end              time.Time          // absolute; zero for none
	lifetimes        sessionstore.Lifetimes

	pairID                uuid.UUID
	generation            int64
	issued, confirmed     time.Time // zero: null
	settled               time.Time // from when on its use counts
	expires               time.Time
	lateRetries           []int64 // the generations in which one was served
	accessGeneration      int64
	accessExpires         time.Time
	refreshJWT, accessJWT tokens.Secret
}

func (m *modelSession) ended(now time.Time) bool {
	return m.endedFor(0, 0, now)
}

// endedFor is ended for a token whose row may be at an earlier generation: then the idle time in the row is not this
// token's.
func (m *modelSession) endedFor(token, row int64, now time.Time) bool {
	return !m.revoked.IsZero() || !m.signedOut.IsZero() || token <= row && !now.Before(m.expires) || !m.end.IsZero() && !now.Before(m.end)
}

// ending is how it has ended: revoking an expired session does not end it, and only a
// thief's token can be newer than an expired row.
func (m *modelSession) ending(now time.Time) sessionstore.Ending {
	switch {
	case !m.signedOut.IsZero() && !m.signedOut.After(m.expires) && (m.revoked.IsZero() || m.signedOut.Before(m.revoked)):
		return sessionstore.Ending{Cause: sessionstore.Cause{Reason: sessionstore.ReasonAllSignedOut}, At: m.signedOut}
	case !m.revoked.IsZero() && (!m.revoked.After(m.expires) || m.cause.Reason == sessionstore.ReasonTheft):
		return sessionstore.Ending{Cause: m.cause, At: m.revoked}
	case now.Before(m.expires):
		return sessionstore.Ending{}
	case m.expires.Equal(m.end):
		return sessionstore.Ending{Cause: sessionstore.Cause{Reason: sessionstore.ReasonExpired}, At: m.expires}
	default:
		return sessionstore.Ending{Cause: sessionstore.Cause{Reason: sessionstore.ReasonIdle}, At: m.expires}
	}
}

func (m *modelSession) capped(t time.Time) time.Time {
	if !m.end.IsZero() && t.After(m.end) {
		return m.end
	}
	return t
}

// accessUntil is when an access token made now expires: no later than its session.
func (m *modelSession) accessUntil(now time.Time) time.Time {
	if until := m.capped(now.Add(m.lifetimes.AccessToken)); until.Before(m.expires) {
		return until
	}
	return m.expires
}

func (m *modelSession) confirm(now time.Time) {
	if m.confirmed.IsZero() && !now.Before(m.settled) {
		m.confirmed = now
	}
}

func (m *modelSession) mint(now time.Time) {
	m.accessGeneration++
	m.accessExpires = m.accessUntil(now)
	m.issued, m.confirmed = now, time.Time{}
}

// acceptsBefore reports whether an access token is the newest one's predecessor, and
// accepted still.
func (m *modelSession) acceptsBefore(generation int64, now time.Time) bool {
	return generation == m.accessGeneration-1 && now.Sub(m.issued) < grace
}

// keepUsable gives the pair another access token in the last tenth of its life.
func (m *modelSession) keepUsable(now time.Time) {
	next := m.accessUntil(now)
	if m.accessExpires.Truncate(time.Second).Sub(now) <= m.lifetimes.AccessToken/10 && next.After(m.accessExpires) {
		m.accessGeneration++
		m.accessExpires = next
		m.accessJWT = ""
	}
}

func (m *modelSession) rotate(generation int64, now time.Time) {
	m.generation = generation
	m.settled = now
	if settled := m.issued.Add(settles); !m.issued.IsZero() && settled.After(now) {
		m.settled = settled
	}
	m.expires = m.capped(now.Add(m.lifetimes.RefreshToken))
	m.mint(now)
}

// refresh is the table of section 3: t is the presented token's generation, and
// expired says that its own time is over.
func (m *modelSession) refresh(t int64, expired bool, now time.Time) (sessionstore.Outcome, sessionstore.Theft) {
	stolen := func(theft sessionstore.Theft) (sessionstore.Outcome, sessionstore.Theft) {
		m.revoked, m.cause = now, sessionstore.Cause{Reason: sessionstore.ReasonTheft, By: string(theft)}
		return sessionstore.Stolen, theft
	}
	g := m.generation
	if m.endedFor(t, g, now) || t != g && expired { // case 1
		return sessionstore.Refused, ""
	}
	if t > g { // case 7
		m.rotate(t+1, now)
		return sessionstore.Healed, ""
	}
	if t == g {
		if !m.issued.IsZero() && now.Sub(m.issued) < fresh { // case 3
			m.confirm(now)
			m.keepUsable(now)
			return sessionstore.StillFresh, ""
		}
		m.rotate(g+1, now) // case 2
		return sessionstore.Rotated, ""
	}
	if t < g-1 { // case 6
		return stolen(sessionstore.Old)
	}
	if now.Sub(m.issued) < grace || !m.confirmed.IsZero() && now.Sub(m.confirmed) < grace { // case 4
		m.keepUsable(now)
		return sessionstore.Raced, ""
	}
	if !m.confirmed.IsZero() { // case 6
		return stolen(sessionstore.Stale)
	}
	inARow := 1
	for slices.Contains(m.lateRetries, g-int64(inARow)) {
		inARow++
	}
	if inARow > walkLateRetryLimit { // case 6
		return stolen(sessionstore.Lockstep)
	}
	m.lateRetries = append(slices.Clip(m.lateRetries), g) // case 5
	m.mint(now)
	return sessionstore.RetriedLate, ""
}

// heldToken is a token that was once handed out; a failover does not take it back.
type heldToken struct {
	session    uuid.UUID
	generation int64
	jwt        tokens.Secret
	issued     time.Time // in seconds
	expires    time.Time
}

// isNewest reports whether an access token is the pair's newest. The time distinguishes generations that a database
// that lost commits has numbered twice, to the second: claims and expiry may differ.
func (m *modelSession) isNewest(h heldToken) bool {
	minted := m.issued
	if minted.IsZero() {
		minted = m.created
	}
	return h.generation == m.accessGeneration && h.issued.Equal(minted.Truncate(time.Second))
}

// expired reports whether the token's time is over: its times are in seconds.
func (h heldToken) expired(now time.Time) bool { return !now.Before(h.expires.Truncate(time.Second)) }
