package sessiontest

import (
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// claimer has claims that can be replaced while a session lives.
type claimer interface {
	LoadClaims(ctx context.Context, id uuid.UUID) (claims []byte, checksum string, err error)
	SetClaims(ctx context.Context, id uuid.UUID, checksum string, claims []byte, options sessionstore.SetClaimsOptions) (string, error)
}

// roleIs requires the session, and an access token, to say the role.
func (k kit) roleIs(session sessionstore.Session, access tokens.Secret, want string) {
	k.Helper()
	_, claims, err := k.get(access, sessionstore.GetOptions{})
	k.ok("GetWith", err)
	var own struct {
		Role string `json:"role"`
	}
	k.ok("Claims.Decode", claims.Decode(&own))
	same(k, "the access token's role", own.Role, want)
	k.sameContent("the session's claims", k.load(session.ID).Claims, `{"role":"`+want+`"}`)
}

func setsClaims(k kit) {
	store, can := k.store.(claimer)
	if !can {
		return
	}
	session, pair := k.create(sessionstore.CreateParams{Claims: []byte(`{"role":"editor"}`), Actor: &tokens.Actor{Subject: "support"}})
	claims, checksum, err := store.LoadClaims(k.Context(), session.ID)
	k.ok("LoadClaims", err)
	k.sameContent("LoadClaims", claims, `{"role":"editor"}`)
	next, err := store.SetClaims(k.Context(), session.ID, checksum, []byte(`{"role": "viewer"}`), sessionstore.SetClaimsOptions{})
	k.ok("SetClaims", err)
	_, stored, err := store.LoadClaims(k.Context(), session.ID)
	k.ok("LoadClaims", err)
	same(k, "the checksum that SetClaims returns", next, stored)

	// The token already issued keeps its claims, and the next one has the new
	// ones.
	_, old, err := k.get(pair.AccessToken, sessionstore.GetOptions{})
	k.ok("GetWith, after SetClaims", err)
	k.sameContent("the claims of the token that is out", []byte(old.Custom), `{"role":"editor"}`)
	k.advance(freshGraces * k.grace)
	pair = k.refresh(pair.RefreshToken, sessionstore.Rotated)
	k.roleIs(session, pair.AccessToken, "viewer")
	if actor := k.load(session.ID).Actor; actor == nil || actor.Subject != "support" {
		k.Fatalf("SetClaims: the actor is %+v", actor)
	}
}

func supersedes(k kit) {
	store, can := k.store.(claimer)
	if !can {
		return
	}
	session, pair := k.create(sessionstore.CreateParams{Claims: []byte(`{"role":"editor"}`)})
	_, checksum, err := store.LoadClaims(k.Context(), session.ID)
	k.ok("LoadClaims", err)
	_, err = store.SetClaims(k.Context(), session.ID, checksum, []byte(`{"role":"viewer"}`), sessionstore.SetClaimsOptions{Supersede: true})
	k.ok("SetClaims", err)
	k.unusable(pair.AccessToken, sessionstore.ErrSuperseded)
	got, err := k.exchange(pair.RefreshToken)
	k.ok("RefreshTokens, of a session whose access tokens are superseded", err)
	k.roleIs(session, got.Pair.AccessToken, "viewer")
	k.unusable(pair.AccessToken, sessionstore.ErrSuperseded)
}

func setClaimsRefuses(k kit) {
	store, can := k.store.(claimer)
	if !can {
		return
	}
	session, pair := k.ann()
	claims, checksum, err := store.LoadClaims(k.Context(), session.ID)
	k.ok("LoadClaims", err)
	same(k, "the claims of a session without any", string(claims), "")
	superseding := sessionstore.SetClaimsOptions{Supersede: true}
	_, err = store.SetClaims(k.Context(), session.ID, "another", []byte(`{}`), superseding)
	k.want("SetClaims with another checksum", err, sessionstore.ErrConflict)
	_, err = store.SetClaims(k.Context(), session.ID, checksum, []byte(`{"sub":"bob"}`), superseding)
	k.wantArgument("SetClaims of a name that is reserved", err, "claims")
	k.use(pair.AccessToken)
	never := uuid.Must(uuid.NewV7())
	_, err = store.SetClaims(k.Context(), never, checksum, []byte(`{}`), superseding)
	k.want("SetClaims of a session that never was", err, sessionstore.ErrNotFound)
	_, _, err = store.LoadClaims(k.Context(), never)
	k.want("LoadClaims of a session that never was", err, sessionstore.ErrNotFound)
	k.ok("Invalidate", k.store.Invalidate(k.Context(), session.ID))
	_, err = store.SetClaims(k.Context(), session.ID, checksum, []byte(`{}`), superseding)
	k.want("SetClaims of a session that has ended", err, sessionstore.ErrEnded)
}
