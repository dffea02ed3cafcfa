package verifier_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// tokenOf signs an access token of a pair, with a generation.
func (b *bench) tokenOf(t *testing.T, session, pair uuid.UUID, generation int64) string {
	t.Helper()
	now := b.clocks.wall()
	token, err := b.signer.Sign(tokens.Claims{
		Type: tokens.AccessToken, Subject: "ann", SessionID: session, TokenID: pair, Generation: generation,
		IssuedAt: now, ExpiresAt: now.Add(2 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

// superseded is the news that a pair's access tokens below a generation were.
func (b *bench) superseded(pair uuid.UUID, below int64) verifier.Revocation {
	return verifier.Revocation{TokenID: pair, Below: below, Until: b.clocks.wall().Add(time.Hour).Unix() + slack}
}

func TestSuperseded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	session, pair, other := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	before, after, others := b.tokenOf(t, session, pair, 6), b.tokenOf(t, session, pair, 7), b.tokenOf(t, session, other, 6)
	b.load()
	b.want(t, "before", before, nil)
	b.prove(b.superseded(pair, 7))
	b.want(t, "one of a lower generation", before, verifier.ErrRevoked)
	b.want(t, "the next", after, nil)
	b.want(t, "another pair's", others, nil)
	if n := b.Len(); n != 0 {
		t.Errorf("%d sessions count as revoked", n)
	}
	b.prove(b.superseded(pair, 3)) // which is older news
	b.want(t, "after older news", before, verifier.ErrRevoked)
	b.prove(b.superseded(pair, 8))
	b.want(t, "superseded again", after, verifier.ErrRevoked)

	// It is forgotten when no such token is left: all shards are swept within a fixed number
	// of proofs.
	b.clocks.pass(time.Hour + 2*verifier.Slack)
	for range 64 {
		b.prove()
	}
	b.want(t, "when its time is over", after, nil)

	b.load(b.superseded(other, 7))
	b.want(t, "of a set from its beginning", others, verifier.ErrRevoked)
	b.load()
	b.want(t, "of a set without it", others, nil)
}

// A feed reports it to every reader, from the beginning or from a cursor.
func TestFeedOfSuperseded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pair := uuid.Must(uuid.NewV7())
	b.load(b.superseded(pair, 7))
	late := &reader{feed: b.Feed()}
	if e := late.next(t); len(e.Sessions) != 1 || e.Sessions[0] != b.superseded(pair, 7) {
		t.Errorf("a new reader gets %+v", e.Sessions)
	}
	b.prove(b.superseded(pair, 9))
	if e := late.next(t); len(e.Sessions) != 1 || e.Sessions[0] != b.superseded(pair, 9) || e.Reset {
		t.Errorf("a follower that continues gets %+v", e.Sessions)
	}
}

// supersede replaces a session's claims, and returns when that had been answered.
func (s *service) supersede(t *testing.T, session uuid.UUID) time.Time {
	t.Helper()
	_, checksum, err := s.LoadClaims(t.Context(), session)
	if err == nil {
		_, err = s.SetClaims(t.Context(), session, checksum, []byte(`{"role":"viewer"}`), sessionstore.SetClaimsOptions{Supersede: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	return time.Now()
}

// However a verifier follows the service, it refuses within the bound what was
// superseded, accepts what the client gets by a refresh, and knows it even if it starts
// later.
func TestSupersededIsNoticed(t *testing.T) {
	t.Parallel()
	for name, follow := range map[string]func(*testing.T, *service) *verifier.Verifier{
		"by the database": func(t *testing.T, s *service) *verifier.Verifier { t.Helper(); return replicaOf(t, s, s.url) },
		"by the feed": func(t *testing.T, s *service) *verifier.Verifier {
			t.Helper()
			r := serve(t, s)
			return r.remoteOf(t, r.internal.URL)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			v := follow(t, s)
			session, pair, err := s.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
			if err != nil {
				t.Fatal(err)
			}
			_, other := s.session(t)
			old := string(pair.AccessToken)
			await(t, "a new session", v, old, nil)
			w := watchTokens(t, v, old)
			at := s.supersede(t, session.ID)
			await(t, "superseded", v, old, verifier.ErrRevoked)
			w.wantWithin(t, map[string]time.Time{old: at})

			got, err := s.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
			if err != nil {
				t.Fatal(err)
			}
			fresh := string(got.Pair.AccessToken)
			later := follow(t, s)
			await(t, "a verifier that starts later", later, old, verifier.ErrRevoked)
			for _, v := range []*verifier.Verifier{v, later} {
				await(t, "after a refresh", v, fresh, nil)
				await(t, "another session", v, other, nil)
			}
			if claims, err := v.Verify(t.Context(), fresh); err != nil || claims.Custom != `{"role":"viewer"}` {
				t.Errorf("%s, %v", claims.Custom, err)
			}
		})
	}
}

// A transaction that supersedes commits when many later ones are known.
func TestSupersedingTakesLong(t *testing.T) {
	t.Parallel()
	s := newService(t)
	v := replicaOf(t, s, s.url)
	session, token := s.session(t)
	await(t, "a new session", v, token, nil)
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `UPDATE "sessionStoreToken" SET "accessGeneration" = "accessGeneration" + 2, "supersededBelow" = "accessGeneration" + 2,
		"supersededAt" = now(), "supersededXid" = pg_current_xact_id() WHERE "session" = $1`, session); err != nil {
		t.Fatal(err)
	}
	other, otherToken := s.session(t)
	s.supersede(t, other)
	await(t, "a later one", v, otherToken, verifier.ErrRevoked)
	await(t, "not committed", v, token, nil)
	w := watchTokens(t, v, token)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	await(t, "committed", v, token, verifier.ErrRevoked)
	w.wantWithin(t, map[string]time.Time{token: at})
}

// If no set can decide, the strict check knows it as well.
func TestSupersededByAsking(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := serve(t, s)
	r.breakDown("/v1/revocations")
	remote := r.remoteOf(t, r.internal.URL, introspects)
	idle, err := s.Verifier(verifier.Config{}) // it follows nothing
	if err != nil {
		t.Fatal(err)
	}
	session, token := s.session(t)
	for _, v := range []*verifier.Verifier{remote, idle} {
		await(t, "live", v, token, nil)
	}
	s.supersede(t, session)
	for _, v := range []*verifier.Verifier{remote, idle} {
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, verifier.ErrRevoked) {
			t.Errorf("superseded: %v", err)
		}
	}
}
