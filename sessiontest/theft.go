package sessiontest

import (
	"errors"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

var thefts = []check{
	{"theft/the predecessor of a pair in use", theftStale},
	{"theft/an older token", theftOld},
	{"theft/one step behind", theftLockstep},
	{"use/by its client", useCloses},
	{"use/by a refresh", refreshCloses},
	{"use/by a server on its behalf", useUnconfirmed},
	{"use/that a check refuses", useRefused},
	{"use/too early to count", useTooEarly},
}

// stolen requires a token to end its session.
func (k kit) stolen(id uuid.UUID, token tokens.Secret, newest sessionstore.TokenPair, theft sessionstore.Theft, behind int64) {
	k.Helper()
	got, err := k.exchange(token)
	k.want("RefreshTokens of a stolen token", err, sessionstore.ErrReuse)
	same(k, "the pair with ErrReuse", got.Pair, sessionstore.TokenPair{})
	if e, ok := errors.AsType[*sessionstore.ReuseError](err); !ok || e.SessionID != id || e.Subject != "ann" || e.Theft != theft || e.Behind != behind {
		k.Fatalf("RefreshTokens of a stolen token: the error is %v, it must be a ReuseError of the session %v and its subject: %s, %d behind", err, id, theft, behind)
	}
	k.ended(id, newest, sessionstore.Cause{Reason: sessionstore.ReasonTheft, By: string(theft)})
	if _, err := k.exchange(token); !isOver(err) {
		k.Fatalf("RefreshTokens of a stolen token, again: the error is %v, it must be ErrEnded", err)
	}
}

func theftStale(k kit) {
	session, first := k.ann()
	second := k.refresh(first.RefreshToken, sessionstore.Rotated)
	k.use(second.AccessToken)
	k.advance(k.grace)
	k.stolen(session.ID, first.RefreshToken, second, sessionstore.Stale, 1)
}

func theftOld(k kit) {
	session, first := k.ann()
	second := k.refresh(first.RefreshToken, sessionstore.Rotated)
	k.advance(freshGraces * k.grace)
	third := k.refresh(second.RefreshToken, sessionstore.Rotated)
	k.stolen(session.ID, first.RefreshToken, third, sessionstore.Old, 2)
}

// A party that follows one step behind is taken for a client that loses each answer, but
// not forever.
func theftLockstep(k kit) {
	session, before := k.ann()
	newest := k.refresh(before.RefreshToken, sessionstore.Rotated)
	for range k.limit {
		k.advance(k.grace)
		newest = k.refresh(before.RefreshToken, sessionstore.RetriedLate)
		k.advance(freshGraces * k.grace)
		before, newest = newest, k.refresh(newest.RefreshToken, sessionstore.Rotated)
	}
	k.advance(k.grace)
	k.stolen(session.ID, before.RefreshToken, newest, sessionstore.Lockstep, 1)
}

// A use opens the grace once more, for requests that were waiting; after that, no owner
// presents the predecessor.
func useCloses(k kit) {
	session, first := k.ann()
	second := k.refresh(first.RefreshToken, sessionstore.Rotated)
	k.advance(2 * k.grace)
	k.use(second.AccessToken)
	k.use(second.AccessToken)
	k.samePair(k.refresh(first.RefreshToken, sessionstore.Raced), second)
	k.advance(k.grace)
	k.use(second.AccessToken)
	k.stolen(session.ID, first.RefreshToken, second, sessionstore.Stale, 1)
}

func refreshCloses(k kit) {
	session, first := k.ann()
	second := k.refresh(first.RefreshToken, sessionstore.Rotated)
	k.refresh(second.RefreshToken, sessionstore.StillFresh) // the bearer of the pair has received it
	k.advance(k.grace)
	k.stolen(session.ID, first.RefreshToken, second, sessionstore.Stale, 1)
}

func useUnconfirmed(k kit) {
	_, first := k.ann()
	second := k.refresh(first.RefreshToken, sessionstore.Rotated)
	k.peek(second.AccessToken)
	k.advance(k.grace)
	k.refresh(first.RefreshToken, sessionstore.RetriedLate)
}

func useRefused(k kit) {
	_, first := k.ann()
	second := k.refresh(first.RefreshToken, sessionstore.Rotated)
	errNo := errors.New("the caller says no")
	_, _, err := k.get(second.AccessToken, sessionstore.GetOptions{Check: func(tokens.Claims) error { return errNo }})
	k.want("GetWith", err, errNo)
	k.advance(k.grace)
	k.refresh(first.RefreshToken, sessionstore.RetriedLate)
}

// Until five graces after the previous pair was issued, a response with that pair may still
// arrive and overwrite this one.
func useTooEarly(k kit) {
	session, first := k.ann()
	second := k.refresh(first.RefreshToken, sessionstore.Rotated)
	k.advance(freshGraces * k.grace)
	third := k.refresh(second.RefreshToken, sessionstore.Rotated)
	k.use(third.AccessToken)
	k.advance(k.grace)
	again := k.refresh(second.RefreshToken, sessionstore.RetriedLate)
	k.advance((settleGraces - freshGraces) * k.grace)
	k.use(again.AccessToken)
	k.advance(k.grace)
	k.stolen(session.ID, second.RefreshToken, again, sessionstore.Stale, 1)
}
