package verifier_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// A session that cleanup ends because of its age is refused like a revoked one.
func TestEndByAge(t *testing.T) {
	t.Parallel()
	s := newService(t)
	v := replicaOf(t, s, s.url)
	session, token := s.session(t)
	_, young := s.session(t)
	await(t, "a new session", v, token, nil)
	s.exec(t, `UPDATE "sessionStore" SET "createdAt" = now() - interval '2 hours' WHERE "id" = $1`, session)
	w := watchTokens(t, v, token, young)
	got, err := cleanup.Run(t.Context(), s.Store, cleanup.Config{SessionMaxAge: time.Hour})
	ended := time.Now()
	if err != nil || got.Aged != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	await(t, "ended for its age", v, token, verifier.ErrRevoked)
	await(t, "young", v, young, nil)
	w.wantWithin(t, map[string]time.Time{token: ended})
}

// A token that was made when lifetimes were longer is refused for as long as it
// lives, even by a verifier that starts later.
func TestLoweredLifetime(t *testing.T) {
	t.Parallel()
	s := newService(t)
	session, pair, err := s.Create(t.Context(), sessionstore.CreateParams{})
	if err != nil {
		t.Fatal(err)
	}
	lowered, err := sessionstore.New(s.pool, s.ring, sessionstore.Config{Tokens: tokenConfig(), Lifetimes: sessionstore.Lifetimes{AccessToken: 46 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lowered.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); err != nil {
		t.Fatal(err)
	}
	s.revoke(t, session.ID)
	// It looks as if all that was minutes ago: the shorter token has expired.
	s.exec(t, `UPDATE "sessionStore" SET "revokedAt" = "revokedAt" - interval '4 minutes'`)
	s.exec(t, `UPDATE "sessionStoreToken" SET "accessExpiresAt" = "accessExpiresAt" - interval '4 minutes'`)
	v, err := lowered.Verifier(verifier.Config{Bound: bound, Strict: nobody})
	if err != nil {
		t.Fatal(err)
	}
	runVerifier(t, v)
	await(t, "revoked", v, string(pair.AccessToken), verifier.ErrRevoked)
}

// A session that was replaced is refused like a revoked one, and its replacement is
// not.
func TestEndByReplacement(t *testing.T) {
	t.Parallel()
	s := newService(t)
	v := replicaOf(t, s, s.url)
	guest, token := s.session(t)
	await(t, "a guest", v, token, nil)
	w := watchTokens(t, v, token)
	_, pair, err := s.Replace(t.Context(), sessionstore.Replaced{SessionID: guest}, sessionstore.CreateParams{Subject: "bob"})
	ended := time.Now()
	if err != nil {
		t.Fatal(err)
	}
	await(t, "a session that was replaced", v, token, verifier.ErrRevoked)
	await(t, "the one in its place", v, string(pair.AccessToken), nil)
	w.wantWithin(t, map[string]time.Time{token: ended})
}

// Whatever an access token's lifetime is lowered to, and however the session then ends, the
// first token of the session is refused after that, even by a verifier that starts later.
func TestLoweredLifetimeThenEnd(t *testing.T) {
	t.Parallel()
	lowered := sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{AccessToken: 46 * time.Second}}
	for name, end := range map[string]func(*testing.T, *service, uuid.UUID){
		"revoked": func(t *testing.T, s *service, session uuid.UUID) { t.Helper(); s.revoke(t, session) },
		"at an end that it is given": func(t *testing.T, s *service, session uuid.UUID) {
			t.Helper()
			s.patch(t, session, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{Session: 2 * time.Minute}})
		},
		"for want of a refresh": func(t *testing.T, s *service, session uuid.UUID) {
			t.Helper()
			s.patch(t, session, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{RefreshToken: 2 * time.Minute}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			v := replicaOf(t, s, s.url)
			session, pair, err := s.Create(t.Context(), sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{AccessToken: time.Hour}})
			if err != nil {
				t.Fatal(err)
			}
			first := string(pair.AccessToken)
			await(t, "a new session", v, first, nil)
			s.patch(t, session.ID, lowered)
			if _, err := s.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); err != nil {
				t.Fatal(err)
			}
			end(t, s, session.ID)
			await(t, name, v, first, verifier.ErrRevoked)
			await(t, name+", to a verifier that starts later", replicaOf(t, s, s.url), first, verifier.ErrRevoked)
		})
	}
}

func (s *service) patch(t *testing.T, session uuid.UUID, patch sessionstore.Patch) {
	t.Helper()
	if _, err := s.Patch(t.Context(), session, patch); err != nil {
		t.Fatal(err)
	}
}
