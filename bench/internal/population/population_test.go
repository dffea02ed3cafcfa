package population_test

import (
	"os"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// The store is to see no difference between a copy and a session that it has made itself.
func TestCopiesAreSessions(t *testing.T) {
	t.Parallel()

	ctx, url := t.Context(), testdb.URL(t)
	identity := population.NewIdentity()
	const size, sample = 5000, 400
	p := population.New(ctx, identity, url, size, sample)
	if got := len(p.Readers.Sessions) + len(p.Rotating.Sessions); got != sample {
		t.Errorf("the sample has %d sessions", got)
	}
	pool := must.Get(pgxpool.New(ctx, url))
	defer pool.Close()
	var sessions, fitting int
	if err := pool.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE s."id"::text LIKE '%-000000000000' AND s."subject" LIKE 'user-%')
		FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id"`).Scan(&sessions, &fitting); err != nil {
		t.Fatal(err)
	}
	if sessions != size+1 || fitting != size { // and the one that they are copies of
		t.Errorf("there are %d sessions, %d of them copies", sessions, fitting)
	}
	var id uuid.UUID
	p.Read(ctx, `SELECT bench_session(258)`, &id)
	if id.String() != "018bcfe5-6902-7000-8000-000000000000" || id.Version() != 7 {
		t.Errorf("the id is %s of version %d", id, id.Version())
	}

	store := must.Get(sessionstore.New(pool, identity.Ring, identity.Store))
	for i, s := range p.Rotating.Ahead(20) {
		access := p.AccessToken(s, i)
		now, next, data := p.Checksums(s)
		if session, _, err := store.Get(ctx, access); err != nil || session.ID != s.ID || session.Checksum != now {
			t.Fatalf("session %v with checksum %s (%v), want %v with %s", session.ID, session.Checksum, err, s.ID, now)
		}
		if got, err := store.Update(ctx, s.ID, now, []byte(data)); err != nil || got != next {
			t.Errorf("update: %s, %v", got, err)
		}
		for range 2 { // with a token that the sample has signed, and with one that the store has
			token := p.RefreshToken(s)
			refreshed, err := store.RefreshTokens(ctx, token, population.Client())
			if err != nil || refreshed.Outcome != sessionstore.Rotated {
				t.Fatalf("refresh: %v, %v", refreshed.Outcome, err)
			}
			s.Rotate(string(refreshed.Pair.RefreshToken))
		}
	}
	for range 2 {
		for _, id := range p.Add(ctx, 10, 0) {
			must.Do(store.Invalidate(ctx, id))
		}
	}
}
