package sessiontest

import (
	"errors"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

var accesses = []check{
	{"GetWith/what is no access token", getRefuses},
	{"GetWith/a caller's check", getChecks},
	{"GetWith/a token that was replaced", getReplaced},
	{"GetWith/a token that has expired", getExpired},
}

// forged changes the signature of a token.
func forged(token tokens.Secret) tokens.Secret {
	last := len(token) - 10
	other := byte('A')
	if token[last] == other {
		other = 'B'
	}
	return token[:last] + tokens.Secret(other) + token[last+1:]
}

func getRefuses(k kit) {
	session, pair := k.ann()
	for _, token := range []tokens.Secret{"", "x", pair.RefreshToken, forged(pair.AccessToken), pair.AccessToken + "x"} {
		k.unusable(token, tokens.ErrInvalid)
	}
	k.lives(session.ID, pair)
}

func getChecks(k kit) {
	session, pair := k.ann()
	errNo := errors.New("the caller says no")
	asked := 0
	check := func(answer error) sessionstore.GetOptions {
		return sessionstore.GetOptions{Check: func(claims tokens.Claims) error {
			asked++
			same(k, "the session of the claims that Check is asked about", claims.SessionID, session.ID)
			return answer
		}}
	}
	_, _, err := k.get(pair.AccessToken, check(errNo))
	k.want("GetWith whose Check fails", err, errNo)
	_, _, err = k.get(pair.AccessToken, check(nil))
	k.ok("GetWith whose Check does not fail", err)
	same(k, "the calls of Check", asked, 2)
	k.ok("Invalidate", k.store.Invalidate(k.Context(), session.ID))
	_, _, err = k.get(pair.AccessToken, check(nil))
	k.want("GetWith", err, sessionstore.ErrEnded)
	same(k, "the calls of Check, after one for a session that has ended", asked, 2)
}

func getReplaced(k kit) {
	session, first := k.ann()
	second := k.refresh(first.RefreshToken, sessionstore.Rotated)
	k.lives(session.ID, first) // requests may be under way
	k.lives(session.ID, second)
	k.advance(k.grace)
	k.unusable(first.AccessToken, sessionstore.ErrSuperseded)
	k.lives(session.ID, second)
}

func getExpired(k kit) {
	session, pair := k.create(sessionstore.CreateParams{Lifetimes: k.short()})
	k.advance(k.short().AccessToken)
	k.unusable(pair.AccessToken, tokens.ErrExpired)
	k.lives(session.ID, k.refresh(pair.RefreshToken, sessionstore.Rotated))
}
