package population_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// The store is to see no difference between a copy and a session that it has made itself.
func TestCopiesAreSessions(t *testing.T) {
	t.Parallel()

	ctx, url := t.Context(), testdb.URL(t)
	identity, err := population.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	const size, sample = 5000, 400
	share := 0.0
	p, err := population.New(ctx, identity, url, size, sample, func(done float64) { share = max(share, done) })
	if err != nil {
		t.Fatal(err)
	}
	if share < 0.5 || share > 1 {
		t.Errorf("the share that was done ended at %v", share)
	}
	if got := p.Readers.Len() + p.Rotating.Len(); got != sample {
		t.Errorf("the sample has %d sessions", got)
	}

	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var sessions, indexes, unlogged int
	if err := pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM "sessionStore" WHERE "subject" LIKE 'user-%'),
		(SELECT count(*) FROM pg_indexes WHERE tablename LIKE 'sessionStore%'),
		(SELECT count(*) FROM pg_index WHERE NOT indisvalid)`).Scan(&sessions, &indexes, &unlogged); err != nil {
		t.Fatal(err)
	}
	if sessions != size || indexes < 5 || unlogged != 0 {
		t.Errorf("%d sessions, %d indexes, %d of them invalid", sessions, indexes, unlogged)
	}

	store, err := sessionstore.New(pool, identity.Ring, identity.Store)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range p.Rotating.Ahead(20) {
		access, err := p.AccessToken(s, i)
		if err != nil {
			t.Fatal(err)
		}
		session, _, err := store.Get(ctx, access)
		if err != nil {
			t.Fatal(err)
		}
		now, next, data := p.Checksums(s)
		if session.ID != p.ID(s) || session.Checksum != now {
			t.Errorf("session %v with checksum %s, want %v with %s", session.ID, session.Checksum, p.ID(s), now)
		}
		if got, err := store.Update(ctx, session.ID, now, []byte(data)); err != nil || got != next {
			t.Errorf("update: %s, %v", got, err)
		}
		for range 2 { // with a token that the sample has signed, and with one that the store has
			token, err := p.RefreshToken(s)
			if err != nil {
				t.Fatal(err)
			}
			refreshed, err := store.RefreshTokens(ctx, token, population.Client())
			if err != nil || refreshed.Outcome != sessionstore.Rotated {
				t.Fatalf("refresh: %v, %v", refreshed.Outcome, err)
			}
			s.Rotate(string(refreshed.Pair.RefreshToken))
		}
		s.Rotate("")
	}

	for range 2 {
		ids, err := p.Add(ctx, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if err := store.Invalidate(ctx, id); err != nil {
				t.Error(err)
			}
			if session, err := store.Load(ctx, id); err != nil || session.RevokedAt.IsZero() {
				t.Errorf("%v was not revoked (%v)", id, err)
			}
		}
	}
	if err := p.Touch(ctx); err != nil {
		t.Error(err)
	}
	if err := p.Settle(ctx); err != nil {
		t.Error(err)
	}
}

func TestIDIsOfVersion7(t *testing.T) {
	t.Parallel()

	id := population.ID(258, 1)
	if got := id.String(); got != "018bcfe5-6902-7000-8000-000000000001" || id.Version() != 7 {
		t.Errorf("the id is %s of version %d", got, id.Version())
	}
}
