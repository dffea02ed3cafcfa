package sessiontest

import (
	"context"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

var refreshes = []check{
	{"RefreshTokens/a new pair", refreshRotates},
	{"RefreshTokens/again, at once", refreshAgain},
	{"RefreshTokens/after a lost answer", refreshLate},
	{"RefreshTokens/what is no refresh token", refreshRefuses},
	{"RefreshTokens/by many at once", refreshTogether},
}

func refreshRotates(k kit) {
	session, first := k.create(sessionstore.CreateParams{Subject: "ann", Claims: []byte(`{"role":"editor"}`), Client: sessionstore.Client{Label: "phone", UserAgent: "suite/1"}})
	k.advance(freshGraces * k.grace)
	second := k.refresh(first.RefreshToken, sessionstore.Rotated)
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken {
		k.Fatalf("RefreshTokens: a rotation gave a token that was there before")
	}
	if !second.RefreshTokenExpiresAt.After(first.RefreshTokenExpiresAt) || !second.AccessTokenExpiresAt.After(first.AccessTokenExpiresAt) {
		k.Fatalf("RefreshTokens: the new tokens last no longer than those before")
	}
	k.lives(session.ID, second)
	got := k.load(session.ID)
	k.sameTime("RefreshedAt", got.RefreshedAt, second.AnsweredAt)
	k.sameTime("ExpiresAt", got.ExpiresAt, second.RefreshTokenExpiresAt)
	k.sameTime("UpdatedAt, which is of the data", got.UpdatedAt, session.UpdatedAt)
	same(k, "LastClient", got.LastClient, client)
	same(k, "Client", got.Client, session.Client)
	same(k, "Checksum", got.Checksum, session.Checksum)
	k.sameContent("Claims", got.Claims, `{"role":"editor"}`)
	_, claims, err := k.get(second.AccessToken, sessionstore.GetOptions{})
	k.ok("GetWith", err)
	same(k, "the subject of the new access token", claims.Subject, "ann")

	k.advance(freshGraces * k.grace)
	third := k.refresh(second.RefreshToken, sessionstore.Rotated)
	k.lives(session.ID, third)
}

// samePair requires the same tokens as in an earlier answer.
func (k kit) samePair(got, want sessionstore.TokenPair) {
	k.Helper()
	same(k, "the refresh token of an answer that is given again", got.RefreshToken, want.RefreshToken)
	same(k, "the access token of an answer that is given again", got.AccessToken, want.AccessToken)
}

func refreshAgain(k kit) {
	session, first := k.ann()
	k.advance(freshGraces * k.grace)
	second := k.refresh(first.RefreshToken, sessionstore.Rotated)
	k.samePair(k.refresh(first.RefreshToken, sessionstore.Raced), second)
	k.samePair(k.refresh(first.RefreshToken, sessionstore.Raced), second)
	k.samePair(k.refresh(second.RefreshToken, sessionstore.StillFresh), second)
	k.samePair(k.refresh(first.RefreshToken, sessionstore.Raced), second)
	k.sameTime("RefreshedAt, after the answer was given again", k.load(session.ID).RefreshedAt, second.AnsweredAt)
	k.lives(session.ID, second)
	k.advance(freshGraces * k.grace)
	k.refresh(second.RefreshToken, sessionstore.Rotated)
}

func refreshLate(k kit) {
	session, first := k.ann()
	second := k.refresh(first.RefreshToken, sessionstore.Rotated) // and its answer was lost
	k.advance(k.grace)
	again := k.refresh(first.RefreshToken, sessionstore.RetriedLate)
	same(k, "the refresh token of a late retry", again.RefreshToken, second.RefreshToken)
	if again.AccessToken == second.AccessToken {
		k.Fatalf("RefreshTokens: a late retry gave the access token of the lost answer")
	}
	k.lives(session.ID, again)
	k.samePair(k.refresh(first.RefreshToken, sessionstore.Raced), again)
	k.advance(freshGraces * k.grace)
	k.lives(session.ID, k.refresh(again.RefreshToken, sessionstore.Rotated))
}

func refreshRefuses(k kit) {
	session, pair := k.ann()
	for _, token := range []tokens.Secret{"", "x", pair.AccessToken, forged(pair.RefreshToken), pair.RefreshToken + "x"} {
		k.refused(token, tokens.ErrInvalid)
	}
	k.lives(session.ID, pair)
	k.refresh(pair.RefreshToken, sessionstore.Rotated)
}

// Tabs that refresh at once get one pair, and only one of them a rotation.
func refreshTogether(k kit) {
	session, first := k.ann()
	k.advance(freshGraces * k.grace)
	got, errs := together(k.Context(), func(ctx context.Context) (sessionstore.Refreshed, error) {
		return k.store.RefreshTokens(ctx, string(first.RefreshToken), client)
	})
	rotated := 0
	for i := range got {
		k.ok("RefreshTokens", errs[i])
		k.samePair(got[i].Pair, got[0].Pair)
		if got[i].Outcome == sessionstore.Rotated {
			rotated++
		}
	}
	same(k, "how many of them rotated the pair", rotated, 1)
	k.lives(session.ID, got[0].Pair)
}
