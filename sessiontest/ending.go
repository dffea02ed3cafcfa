package sessiontest

import (
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

var endings = []check{
	{"Invalidate/all of a session", invalidateEnds},
	{"Invalidate/within the grace", invalidateWithinGrace},
	{"Invalidate/again", invalidateAgain},
	{"Invalidate/what cannot be", invalidateRefuses},
	{"expiry/of what is not refreshed", expiresIdle},
	{"expiry/of what is refreshed", expiresAbsolutely},
}

func invalidateEnds(k kit) {
	session, pair := k.ann()
	other, others := k.ann()
	k.lives(session.ID, pair)
	cause := sessionstore.Cause{Reason: sessionstore.ReasonSignedOut, By: "ann herself"}
	k.ok("Invalidate", k.store.Invalidate(k.Context(), session.ID, cause))
	k.ended(session.ID, pair, cause)
	k.lives(other.ID, others)
	k.refresh(others.RefreshToken, sessionstore.Rotated)
}

// A session that was ended has no grace, and continued use of its tokens is not a theft.
func invalidateWithinGrace(k kit) {
	session, first := k.ann()
	second := k.refresh(first.RefreshToken, sessionstore.Rotated)
	k.use(second.AccessToken)
	k.ok("Invalidate", k.store.Invalidate(k.Context(), session.ID))
	cause := sessionstore.Cause{Reason: sessionstore.ReasonBackend}
	k.ended(session.ID, first, cause)
	k.ended(session.ID, second, cause)
	k.advance(2 * k.grace)
	k.ended(session.ID, first, cause)
}

func invalidateAgain(k kit) {
	session, pair := k.ann()
	first := sessionstore.Cause{Reason: sessionstore.ReasonOperator, By: "op@host"}
	k.ok("Invalidate", k.store.Invalidate(k.Context(), session.ID, first))
	k.ok("Invalidate, again", k.store.Invalidate(k.Context(), session.ID, sessionstore.SignedOut(session.ID)))
	k.ended(session.ID, pair, first)
}

func invalidateRefuses(k kit) {
	session, pair := k.ann()
	k.want("Invalidate of a session that never was", k.store.Invalidate(k.Context(), uuid.Must(uuid.NewV7())), sessionstore.ErrNotFound)
	k.wantArgument("Invalidate for no reason of ours", k.store.Invalidate(k.Context(), session.ID, sessionstore.Cause{Reason: sessionstore.ReasonIdle}), "reason")
	k.lives(session.ID, pair)
}

func expiresIdle(k kit) {
	own := k.short()
	session, first := k.create(sessionstore.CreateParams{Subject: "ann", Lifetimes: own})
	k.advance(own.RefreshToken - time.Second)
	second := k.refresh(first.RefreshToken, sessionstore.Rotated)
	k.advance(own.RefreshToken - time.Second)
	third := k.refresh(second.RefreshToken, sessionstore.Rotated)
	k.advance(own.RefreshToken + time.Second)
	k.ended(session.ID, third, sessionstore.Cause{Reason: sessionstore.ReasonIdle})
	if err := k.store.Invalidate(k.Context(), session.ID); err != nil {
		k.want("Invalidate of a session that has expired", err, sessionstore.ErrNotFound)
	}
	k.ended(session.ID, third, sessionstore.Cause{Reason: sessionstore.ReasonIdle})
}

func expiresAbsolutely(k kit) {
	own := k.short()
	own.Session = own.RefreshToken + time.Second
	session, pair := k.create(sessionstore.CreateParams{Subject: "ann", Lifetimes: own})
	k.advance(own.AccessToken)
	pair = k.refresh(pair.RefreshToken, sessionstore.Rotated)
	end := session.CreatedAt.Add(own.Session)
	k.sameTime("the end of a refresh token that would outlive its session", pair.RefreshTokenExpiresAt, end)
	k.sameTime("the end of an access token that would outlive its session", pair.AccessTokenExpiresAt, end)
	k.advance(own.Session - own.AccessToken)
	k.ended(session.ID, pair, sessionstore.Cause{Reason: sessionstore.ReasonExpired})
}
