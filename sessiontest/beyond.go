package sessiontest

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Tested only if a store supports it.
var beyond = []check{
	{"List/a subject's live sessions", listsLive},
	{"InvalidateSubject/everywhere", invalidatesEverywhere},
	{"RevokeToken/either token", revokesTokens},
	{"Patch/lifetimes and label", patches},
	{"Patch/what cannot be", patchRefuses},
	{"SetClaims/with the next token", setsClaims},
	{"SetClaims/at once", supersedes},
	{"SetClaims/what cannot be", setClaimsRefuses},
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

type patcher interface {
	Patch(ctx context.Context, id uuid.UUID, patch sessionstore.Patch) (sessionstore.Session, error)
}

func patches(k kit) {
	store, can := k.store.(patcher)
	if !can {
		return
	}
	own := k.short()
	session, pair := k.create(sessionstore.CreateParams{Lifetimes: own, Client: sessionstore.Client{Label: "phone"}})
	k.advance(k.grace)
	longer := sessionstore.Lifetimes{RefreshToken: own.RefreshToken + time.Minute}
	got, err := store.Patch(k.Context(), session.ID, sessionstore.Patch{Lifetimes: longer})
	k.ok("Patch", err)
	if got.Data != nil || got.Checksum != "" {
		k.Fatalf("Patch: the session has its data")
	}
	same(k, "the label, which was not given", got.Client.Label, "phone")
	same(k, "by how much the session lasts longer", got.ExpiresAt.Sub(session.ExpiresAt).Truncate(time.Second), (k.grace + time.Minute).Truncate(time.Second))
	k.sameTime("Load, after Patch: ExpiresAt", k.load(session.ID).ExpiresAt, got.ExpiresAt)
	label := ""
	got, err = store.Patch(k.Context(), session.ID, sessionstore.Patch{Label: &label})
	k.ok("Patch", err)
	same(k, "the label that was taken away", got.Client.Label, "")

	pair = k.refresh(pair.RefreshToken, sessionstore.Rotated)
	same(k, "how long the next refresh token lasts", pair.RefreshExpiresIn(), longer.RefreshToken)
	same(k, "how long the next access token lasts", pair.ExpiresIn(), own.AccessToken)
	_, err = store.Patch(k.Context(), session.ID, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{Session: own.RefreshToken}})
	k.ok("Patch", err)
	k.advance(own.RefreshToken + time.Second)
	k.ended(session.ID, pair, sessionstore.Cause{Reason: sessionstore.ReasonExpired})
}

func patchRefuses(k kit) {
	store, can := k.store.(patcher)
	if !can {
		return
	}
	session, pair := k.ann()
	for field, lifetimes := range map[string]sessionstore.Lifetimes{
		"access_token_ttl":  {AccessToken: time.Second},
		"refresh_token_ttl": {RefreshToken: time.Second},
		"session_ttl":       {Session: time.Second}, // verifiers would accept its access token for longer
	} {
		_, err := store.Patch(k.Context(), session.ID, sessionstore.Patch{Lifetimes: lifetimes})
		k.wantArgument("Patch", err, field)
	}
	k.sameTime("ExpiresAt, after Patches that were refused", k.load(session.ID).ExpiresAt, session.ExpiresAt)
	k.lives(session.ID, pair)
	fixed, _ := k.create(sessionstore.CreateParams{NoRefresh: true})
	_, err := store.Patch(k.Context(), fixed.ID, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{Session: time.Hour}})
	k.wantArgument("Patch of a session without a refresh token", err, "session_ttl")
	_, err = store.Patch(k.Context(), uuid.Must(uuid.NewV7()), sessionstore.Patch{})
	k.want("Patch of a session that never was", err, sessionstore.ErrNotFound)
	k.ok("Invalidate", k.store.Invalidate(k.Context(), session.ID))
	_, err = store.Patch(k.Context(), session.ID, sessionstore.Patch{})
	k.want("Patch of a session that has ended", err, sessionstore.ErrEnded)
}
