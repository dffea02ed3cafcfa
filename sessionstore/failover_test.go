package sessionstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const (
	// failoverPause is how long a pair is fresh (see docs/refresh.md).
	failoverPause = 3 * grace
	lagRounds     = 3
)

// A primary whose standby lags dies, and nobody is logged out: a token's
// signature proves what the database has forgotten. Thieves are detected as
// before.
func TestFailover(t *testing.T) {
	t.Parallel()
	f := setupFailover(t)

	// The standby receives: everyone at generation 1.
	honest := []struct {
		who       string
		moves     int
		losesLast bool
		want      sessionstore.Outcome
		clients   []*client
	}{
		{who: "used its session, but did not refresh", want: sessionstore.Rotated},
		{who: "refreshed once", moves: 1, want: sessionstore.Healed},
		{who: "refreshed twice", moves: 2, want: sessionstore.Healed},
		{who: "refreshed three times", moves: 3, want: sessionstore.Healed},
		{who: "refreshed, but its answer was lost", losesLast: true, want: sessionstore.Rotated},
		{who: "refreshed three times, but the last answer was lost", moves: 2, losesLast: true, want: sessionstore.Healed},
	}
	want := map[sessionstore.Outcome]int{}
	for i, h := range honest {
		for range 5 {
			c := f.signIn(t, h.moves)
			c.losesLast = h.losesLast
			honest[i].clients = append(honest[i].clients, c)
			want[h.want]++
		}
	}
	tabs := f.signIn(t, 2)
	old, stale, early := f.signIn(t, 2), f.signIn(t, 2), f.signIn(t, 3)
	revoked, revokedTooLate := f.signIn(t, 0), f.signIn(t, 0)
	f.invalidate(t, revoked)
	retrying := &client{}
	retrying.session, retrying.pair = f.create(t, sessionstore.CreateParams{})
	f.refresh(t, retrying.pair.RefreshToken, sessionstore.Rotated) // the answer is lost
	f.servers.CatchUp()

	// The standby does not receive these.
	f.lag(t)
	newcomer := f.signIn(t, 0)
	f.invalidate(t, revokedTooLate)
	f.failOver(t)

	for _, h := range honest {
		for _, c := range h.clients {
			f.comeBack(t, h.who, c, h.want)
		}
	}
	// Its predecessor came before the lag: here nothing was forgotten.
	retrying.pair = f.present(t, "refreshed before the lag, but its answer was lost", retrying.pair, sessionstore.RetriedLate)
	f.get(t, retrying.pair)
	want[sessionstore.RetriedLate]++

	const n = 8
	f.race(t, tabs, n)
	want[sessionstore.Healed]++
	want[sessionstore.Raced] += n - 1

	// A session revoked in time stays revoked. Asynchronous replication loses
	// the last commits: sessions that are too new are gone, and revocations
	// that are too new are undone.
	f.refused(t, "revoked before the lag", revoked, sessionstore.ErrEnded)
	f.refused(t, "created in the lag", newcomer, sessionstore.ErrNotFound)
	f.comeBack(t, "revoked in the lag", revokedTooLate, sessionstore.Rotated)
	want[sessionstore.Rotated]++

	// A thief who comes first is taken for the owner, once.
	loot := f.present(t, "an early thief", early.past[2], sessionstore.Healed)
	f.comeBack(t, "robbed in the lag", early, sessionstore.Healed)
	f.comeBack(t, "robbed before the lag", old, sessionstore.Healed)
	f.comeBack(t, "robbed of its newest token", stale, sessionstore.Healed)
	want[sessionstore.Healed] += 4

	if diff := cmp.Diff(want, f.outcomes); diff != "" {
		t.Errorf("outcomes (-want +got): %s", diff)
	}

	f.pass(t, failoverPause)
	f.thief(t, loot, early, sessionstore.Old)
	f.thief(t, old.past[0], old, sessionstore.Old)
	f.thief(t, stale.past[len(stale.past)-1], stale, sessionstore.Stale)
	// All others continue.
	for _, h := range honest {
		for _, c := range h.clients {
			f.move(t, c)
		}
	}
	f.move(t, retrying)
	f.move(t, tabs)
}

// client is the holder of a session's tokens.
type client struct {
	session sessionstore.Session
	pair    sessionstore.TokenPair
	past    []sessionstore.TokenPair // that it held before, by generation
	// moves is in how many rounds of the lag it refreshes.
	moves int
	// losesLast makes it refresh once more, without getting the answer.
	losesLast bool
}

// failover is a store on a primary and, once that is dead, on its standby.
type failover struct {
	kit
	servers *testdb.Replicated
	cfg     sessionstore.Config
	clients []*client
	// outcomes counts the answers of the standby.
	outcomes map[sessionstore.Outcome]int
}

func setupFailover(t *testing.T) *failover {
	t.Helper()
	f := &failover{servers: testdb.NewReplicated(t), cfg: config(), outcomes: map[sessionstore.Outcome]int{}}
	f.cfg.RefuseReplaced = true // distinguishes a replaced token from a lost one
	f.ring = newRing(t)
	f.use(t, f.servers.Primary)
	return f
}

// use makes a new store with the same keys, as another process has it.
func (f *failover) use(t *testing.T, server *testdb.Server) {
	t.Helper()
	f.pool = server.Pool()
	f.Store = newStore(t, f.pool, f.ring, f.cfg)
}

func (f *failover) signIn(t *testing.T, moves int) *client {
	t.Helper()
	c := &client{moves: moves}
	c.session, c.pair = f.create(t, sessionstore.CreateParams{})
	f.move(t, c)
	f.clients = append(f.clients, c)
	return c
}

// move refreshes, and uses the new pair, which confirms it.
func (f *failover) move(t *testing.T, c *client) {
	t.Helper()
	c.past = append(c.past, c.pair)
	c.pair = f.refresh(t, c.pair.RefreshToken, sessionstore.Rotated)
	f.get(t, c.pair)
}

func (f *failover) invalidate(t *testing.T, c *client) {
	t.Helper()
	if err := f.Invalidate(t.Context(), c.session.ID); err != nil {
		t.Fatal(err)
	}
	c.moves = -1
}

// lag has the primary continue, unheard by its standby.
func (f *failover) lag(t *testing.T) {
	t.Helper()
	f.servers.Freeze()
	for round := range lagRounds {
		f.pass(t, failoverPause)
		for _, c := range f.clients {
			switch {
			case round < c.moves:
				f.move(t, c)
			case round == c.moves && c.losesLast:
				f.refresh(t, c.pair.RefreshToken, sessionstore.Rotated)
			case c.moves == 0 && !c.losesLast:
				f.get(t, c.pair)
			}
		}
	}
}

func (f *failover) failOver(t *testing.T) {
	t.Helper()
	f.servers.Primary.Kill()
	if err := f.Ping(t.Context()); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Fatalf("the primary was killed: %v", err)
	}
	f.servers.Promote()
	f.use(t, f.servers.Standby)
	f.pass(t, lagRounds*failoverPause) // since it was last heard of
}

// pass has time go by for all sessions.
func (f *failover) pass(t *testing.T, by time.Duration) {
	t.Helper()
	rows, err := f.pool.Query(t.Context(), `SELECT "id" FROM "sessionStore"`)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		f.age(t, id, by)
	}
}

// present gives the standby a refresh token and counts the outcome.
func (f *failover) present(t *testing.T, who string, pair sessionstore.TokenPair, want sessionstore.Outcome) sessionstore.TokenPair {
	t.Helper()
	got, err := f.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
	if err != nil || got.Outcome != want {
		t.Fatalf("%s: %v (%v), want %v", who, got.Outcome, err, want)
	}
	f.outcomes[want]++
	return got.Pair
}

// comeBack is a client's first refresh on the standby. Until then its access token is valid, whatever its generation;
// after that it is replaced.
func (f *failover) comeBack(t *testing.T, who string, c *client, want sessionstore.Outcome) {
	t.Helper()
	before := c.pair
	f.accessed(t, who, before, nil)
	c.past = append(c.past, before)
	c.pair = f.present(t, who, before, want)
	f.accessed(t, who, before, sessionstore.ErrSuperseded)
	f.accessed(t, who, c.pair, nil)
	const generations = `SELECT count(*) FROM "sessionStoreToken" WHERE "session" = $1 AND "generation" = $2`
	if n := f.count(t, generations, c.session.ID, len(c.past)); n != 1 {
		t.Errorf("%s: the row is not of generation %d", who, len(c.past))
	}
}

// race is a client's first refresh on the standby, by several of its tabs.
func (f *failover) race(t *testing.T, c *client, tabs int) {
	t.Helper()
	got := make([]sessionstore.Refreshed, tabs)
	errs := make([]error, tabs)
	together(tabs, func(i int) {
		got[i], errs[i] = f.RefreshTokens(t.Context(), string(c.pair.RefreshToken), sessionstore.Client{})
	})
	for i, r := range got {
		if errs[i] != nil {
			t.Fatalf("tab %d: %v", i, errs[i])
		}
		f.outcomes[r.Outcome]++
		if r.Pair.AccessToken != got[0].Pair.AccessToken || r.Pair.RefreshToken != got[0].Pair.RefreshToken {
			t.Errorf("tab %d got another pair than tab 0", i)
		}
	}
	c.pair = got[0].Pair
	f.get(t, c.pair)
}

// refused requires an error for both tokens.
func (f *failover) refused(t *testing.T, who string, c *client, want error) {
	t.Helper()
	f.accessed(t, who, c.pair, want)
	if _, err := f.RefreshTokens(t.Context(), string(c.pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, want) {
		t.Errorf("%s: the refresh token: %v, want %v", who, err, want)
	}
}

// accessed requires an error, or none, for an access token.
func (f *failover) accessed(t *testing.T, who string, pair sessionstore.TokenPair, want error) {
	t.Helper()
	if _, _, err := f.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, want) {
		t.Errorf("%s: the access token: %v, want %v", who, err, want)
	}
}

// thief presents a stolen token, which ends the session.
func (f *failover) thief(t *testing.T, stolen sessionstore.TokenPair, victim *client, want sessionstore.Theft) {
	t.Helper()
	_, err := f.RefreshTokens(t.Context(), string(stolen.RefreshToken), sessionstore.Client{})
	var reuse *sessionstore.ReuseError
	if !errors.As(err, &reuse) || reuse.Theft != want {
		t.Errorf("a stolen token: %v, want %v", err, want)
	}
	f.refused(t, "robbed", victim, sessionstore.ErrEnded)
}
