package sessiontest

import (
	"context"
	"strings"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

var bindings = []check{
	{"binding/without a proof", boundUnproven},
	{"binding/with a proof", boundProven},
}

// Two thumbprints of keys.
var (
	ownKey   = strings.Repeat("A", 43)
	otherKey = strings.Repeat("B", 42) + "A"
)

// prover is a store that accepts proofs at refreshes.
type prover interface {
	RefreshTokensWithProof(ctx context.Context, refreshToken, thumbprint string, client sessionstore.Client) (sessionstore.Refreshed, error)
}

// A copy of a bound refresh token is of no use, and no reason for an alarm.
func boundUnproven(k kit) {
	session, pair := k.create(sessionstore.CreateParams{Subject: "ann", KeyThumbprint: ownKey})
	same(k, "the pair's key", pair.KeyThumbprint, ownKey)
	var asked string
	_, claims, err := k.get(pair.AccessToken, sessionstore.GetOptions{Check: func(claims tokens.Claims) error {
		asked = claims.KeyThumbprint
		return nil
	}})
	k.ok("GetWith", err)
	same(k, "the access token's key", claims.KeyThumbprint, ownKey)
	same(k, "the key that Check is asked about", asked, ownKey)
	for range 2 {
		k.refused(pair.RefreshToken, sessionstore.ErrNotProven)
		k.advance(k.grace)
	}
	k.lives(session.ID, pair)
	k.sameTime("RefreshedAt", k.load(session.ID).RefreshedAt, session.RefreshedAt)
}

func boundProven(k kit) {
	store, can := k.store.(prover)
	if !can {
		return
	}
	prove := func(token tokens.Secret, key string) (sessionstore.Refreshed, error) {
		return store.RefreshTokensWithProof(k.Context(), string(token), key, client)
	}
	session, first := k.ann()
	got, err := prove(first.RefreshToken, ownKey)
	k.ok("RefreshTokensWithProof", err)
	second := got.Pair
	same(k, "the key of a pair that answers a proof", second.KeyThumbprint, ownKey)
	for _, key := range []string{"", otherKey} {
		_, err = prove(second.RefreshToken, key)
		k.want("RefreshTokensWithProof with another key, or none", err, sessionstore.ErrNotProven)
	}
	k.use(second.AccessToken) // nothing was proven: it does not count
	k.advance(k.grace)
	got, err = prove(first.RefreshToken, ownKey)
	k.ok("RefreshTokensWithProof", err)
	same(k, "the outcome of RefreshTokensWithProof", got.Outcome, sessionstore.RetriedLate)
	// The first token is not bound: two parties held it, and one of them has bound the
	// session.
	k.stolen(session.ID, first.RefreshToken, got.Pair, sessionstore.Unproven, 1)
}
