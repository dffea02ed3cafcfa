package sessiontest

import (
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// What is tested where a store has it.
var beyond = []check{
	{"List/a subject's live sessions", listsLive},
	{"InvalidateSubject/everywhere", invalidatesEverywhere},
	{"RevokeToken/either token", revokesTokens},
}

type lister interface {
	List(ctx context.Context, subject string, params sessionstore.ListParams) (sessionstore.Page, error)
}

func listsLive(k kit) {
	store, can := k.store.(lister)
	if !can {
		return
	}
	var newestFirst []uuid.UUID
	for range 5 {
		session, _ := k.ann()
		newestFirst = append([]uuid.UUID{session.ID}, newestFirst...)
	}
	k.create(sessionstore.CreateParams{Subject: "bob"})
	k.ok("Invalidate", k.store.Invalidate(k.Context(), newestFirst[1]))
	newestFirst = append(newestFirst[:1], newestFirst[2:]...)
	params := sessionstore.ListParams{Limit: 3}
	var got []uuid.UUID
	for {
		page, err := store.List(k.Context(), "ann", params)
		k.ok("List", err)
		for _, session := range page.Sessions {
			if session.Data != nil || session.Checksum != "" || session.Subject != "ann" {
				k.Fatalf("List: %+v, it must be ann's, without its data", session)
			}
			got = append(got, session.ID)
		}
		if params.Cursor = page.NextCursor; params.Cursor == "" {
			break
		}
	}
	same(k, "how many sessions List gives", len(got), len(newestFirst))
	for i := range got {
		same(k, "a session of List", got[i], newestFirst[i])
	}
	_, err := store.List(k.Context(), "ann", sessionstore.ListParams{Cursor: "x"})
	k.wantArgument("List", err, "cursor")
	_, err = store.List(k.Context(), "", sessionstore.ListParams{})
	k.wantArgument("List", err, "subject")
}

func invalidatesEverywhere(k kit) {
	store, can := k.store.(interface {
		InvalidateSubject(ctx context.Context, subject string, keep uuid.UUID, cause ...sessionstore.Cause) (int64, error)
	})
	if !can {
		return
	}
	first, firstPair := k.ann()
	second, secondPair := k.ann()
	kept, keptPair := k.ann()
	bobs, bobsPair := k.create(sessionstore.CreateParams{Subject: "bob"})
	cause := sessionstore.Cause{Reason: sessionstore.ReasonSignedOutEverywhere, By: kept.ID.String()}
	for _, live := range []int64{2, 0} {
		n, err := store.InvalidateSubject(k.Context(), "ann", kept.ID, cause)
		k.ok("InvalidateSubject", err)
		same(k, "how many live sessions InvalidateSubject ended", n, live)
	}
	k.ended(first.ID, firstPair, cause)
	k.ended(second.ID, secondPair, cause)
	k.lives(kept.ID, keptPair)
	k.lives(bobs.ID, bobsPair)
}

func revokesTokens(k kit) {
	store, can := k.store.(interface {
		RevokeToken(ctx context.Context, token string) error
	})
	if !can {
		return
	}
	live, livePair := k.ann()
	for _, token := range []tokens.Secret{"x", "", forged(livePair.RefreshToken)} {
		k.ok("RevokeToken of what is no token", store.RevokeToken(k.Context(), string(token)))
	}
	k.lives(live.ID, livePair)
	for _, of := range []func(sessionstore.TokenPair) tokens.Secret{
		func(p sessionstore.TokenPair) tokens.Secret { return p.AccessToken },
		func(p sessionstore.TokenPair) tokens.Secret { return p.RefreshToken },
	} {
		session, pair := k.ann()
		k.ok("RevokeToken", store.RevokeToken(k.Context(), string(of(pair))))
		k.ended(session.ID, pair, sessionstore.SignedOut(session.ID))
	}
}
