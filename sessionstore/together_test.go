package sessionstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// occupy takes all connections, so that statements pile up until it is released.
func (k kit) occupy(t *testing.T) (release func()) {
	t.Helper()
	var taken []*pgxpool.Conn
	for range k.pool.Config().MaxConns {
		conn, err := k.pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, conn)
	}
	return func() {
		for _, conn := range taken {
			conn.Release()
		}
	}
}

type given struct {
	sessionstore.Refreshed
	err error
}

// together presents all tokens at once, and returns the answers in their order.
func (k kit) together(t *testing.T, list []tokens.Secret) []given {
	t.Helper()
	answers := make([]given, len(list))
	k.atOnce(t, len(list), func(i int) error {
		a, err := k.RefreshTokens(t.Context(), string(list[i]), sessionstore.Client{UserAgent: fmt.Sprint("agent ", i)})
		answers[i] = given{a, err}
		return nil
	})
	return answers
}

// atOnce calls do n times at once, with the numbers up to n. Each call is one
// operation that shares statements, and none is sent before all wait.
func (k kit) atOnce(t *testing.T, n int, do func(int) error) {
	t.Helper()
	var all sync.WaitGroup
	release := k.Hold(t, n)
	for i := range n {
		all.Go(func() {
			if err := do(i); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	release()
	all.Wait()
}

// Many refreshes at once share statements, and each gets its own session's pair.
func TestRefreshesTogether(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const n = 150
	list := make([]tokens.Secret, 2*n) // each token is presented twice
	for i := range n {
		_, pair := k.create(t, sessionstore.CreateParams{Subject: fmt.Sprint("user-", i)})
		list[i], list[n+i] = pair.RefreshToken, pair.RefreshToken
	}
	before := k.queries.Load()
	answers := k.together(t, list)

	for i := range n {
		first, second := answers[i], answers[n+i]
		if first.err != nil || second.err != nil {
			t.Fatalf("%d: %v, %v", i, first.err, second.err)
		}
		if first.Outcome > second.Outcome {
			first, second = second, first
		}
		if first.Outcome != sessionstore.Rotated || second.Outcome != sessionstore.Raced {
			t.Errorf("%d: %v and %v", i, first.Outcome, second.Outcome)
		}
		if first.Pair.RefreshToken != second.Pair.RefreshToken {
			t.Errorf("%d: two pairs", i)
		}
		session, claims, err := k.Get(t.Context(), string(first.Pair.AccessToken))
		if want := fmt.Sprint("user-", i); err != nil || session.Subject != want || claims.Subject != want {
			t.Errorf("%d: the pair is of %q (%v)", i, session.Subject, err)
		}
		if agent := session.LastClient.UserAgent; agent != fmt.Sprint("agent ", i) && agent != fmt.Sprint("agent ", n+i) {
			t.Errorf("%d: the client is %q", i, agent)
		}
	}
	// One for each that came second, its transaction, and the reads above.
	if sent := k.queries.Load() - before; sent > n*6 {
		t.Errorf("%d statements", sent)
	}
}

// A token that was replaced long ago is a theft, whatever shares its statement.
func TestAnOldTokenComesWithTheNewest(t *testing.T) {
	t.Parallel()
	k := setup(t)
	var list []tokens.Secret
	const n = 20
	for range n {
		session, pair := k.create(t, sessionstore.CreateParams{})
		old := pair.RefreshToken
		for range 2 {
			pair = k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
			k.age(t, session.ID, time.Hour)
		}
		list = append(list, old, pair.RefreshToken)
	}
	answers := k.together(t, list)
	for i := range n {
		if old := answers[2*i]; !errors.Is(old.err, sessionstore.ErrReuse) {
			t.Errorf("the old one: %v, %v", old.Outcome, old.err)
		}
		if newest := answers[2*i+1]; newest.err != nil && !errors.Is(newest.err, sessionstore.ErrEnded) {
			t.Errorf("the newest: %v", newest.err)
		}
	}
}

// Locked sessions delay only their own users.
func TestALockedSessionDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const locked, n = 6, 60 // more than there may be statements; fewer than connections
	var list []tokens.Secret
	tx, err := k.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		session, pair := k.create(t, sessionstore.CreateParams{})
		list = append(list, pair.RefreshToken)
		if i < locked {
			if _, err := tx.Exec(t.Context(), `SELECT 1 FROM "sessionStoreToken" WHERE "session" = $1 FOR UPDATE`, session.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	var all, others sync.WaitGroup
	for i, token := range list {
		group := &others
		if i < locked {
			group = &all
		}
		group.Go(func() {
			got, err := k.RefreshTokens(t.Context(), string(token), sessionstore.Client{})
			if err != nil || got.Outcome != sessionstore.Rotated {
				t.Errorf("%d: %v, %v", i, got.Outcome, err)
			}
		})
		if i == locked-1 { // they come first
			k.await(t, "one that waits for a lock", func() bool {
				return k.count(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
			})
		}
	}
	done := make(chan struct{})
	go func() { others.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(awaitPatience): // the locks are held all that time
		t.Error("the others wait for sessions that are not theirs")
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	<-done
}

// A caller that gives up while its refresh waits gets an error that says nothing
// about its token, and affects no other.
func TestWhoWaitsMayLeave(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const n = 40
	var all sync.WaitGroup
	errs := make([]error, n)
	list := make([]tokens.Secret, n)
	for i := range n {
		_, pair := k.create(t, sessionstore.CreateParams{})
		list[i] = pair.RefreshToken
	}
	release := k.occupy(t)
	for i := range n {
		all.Go(func() {
			ctx := t.Context()
			if i%2 == 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 30*time.Millisecond)
				defer cancel()
			}
			_, errs[i] = k.RefreshTokens(ctx, string(list[i]), sessionstore.Client{})
		})
	}
	time.Sleep(200 * time.Millisecond)
	release()
	all.Wait()
	for i, err := range errs {
		if i%2 == 0 && err != nil && !errors.Is(err, sessionstore.ErrUnavailable) {
			t.Errorf("who left: %v", err)
		}
		if i%2 == 1 && err != nil {
			t.Errorf("who stayed: %v", err)
		}
		// Whether it was made or not, the token continues.
		if _, err := k.RefreshTokens(t.Context(), string(list[i]), sessionstore.Client{}); err != nil {
			t.Errorf("again: %v", err)
		}
	}
}

// Many sessions are made and read with shared statements, each as it was asked for.
func TestCreatingAndReadingTogether(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const n, statements = 150, (150 + sessionstore.MaxTogether - 1) / sessionstore.MaxTogether
	wanted := func(i int) sessionstore.CreateParams {
		p := sessionstore.CreateParams{Data: fmt.Appendf(nil, `{"n": %d}`, i)}
		if i%2 == 0 {
			p.Subject = fmt.Sprint("user-", i)
			p.Client = sessionstore.Client{Label: fmt.Sprint("label ", i), UserAgent: "agent", IP: fmt.Sprint("192.0.2.", i)}
		}
		if i%3 == 0 {
			p.Lifetimes = sessionstore.Lifetimes{AccessToken: time.Duration(100+i) * time.Second, RefreshToken: time.Hour, Session: 2 * time.Hour}
		}
		return p
	}
	made, pairs := make([]sessionstore.Session, n), make([]sessionstore.TokenPair, n)
	before := k.queries.Load()
	k.atOnce(t, n, func(i int) (err error) {
		made[i], pairs[i], err = k.Create(t.Context(), wanted(i))
		return err
	})
	if sent := k.queries.Load() - before; sent != statements {
		t.Errorf("%d statements made %d sessions, not %d", sent, n, statements)
	}
	read, claims := make([]sessionstore.Session, n), make([]tokens.Claims, n)
	before = k.queries.Load()
	k.atOnce(t, n, func(i int) (err error) {
		read[i], claims[i], err = k.Get(t.Context(), string(pairs[i].AccessToken))
		return err
	})
	if sent := k.queries.Load() - before; sent != statements {
		t.Errorf("%d statements read %d sessions, not %d", sent, n, statements)
	}
	for i := range n {
		want := wanted(i)
		if read[i].Subject != want.Subject || read[i].Client != want.Client || string(read[i].Data) != string(want.Data) {
			t.Errorf("%d: %+v with %s", i, read[i], read[i].Data)
		}
		if claims[i].Subject != want.Subject || claims[i].SessionID != made[i].ID || read[i].ID != made[i].ID {
			t.Errorf("%d: the token is of %v, the session is %v, made was %v", i, claims[i].SessionID, read[i].ID, made[i].ID)
		}
		if lifetime := pairs[i].AccessTokenExpiresAt.Sub(read[i].CreatedAt); i%3 == 0 && lifetime != want.Lifetimes.AccessToken {
			t.Errorf("%d: the access token lives for %v", i, lifetime)
		}
		if diff := cmp.Diff(made[i], read[i]); diff != "" {
			t.Errorf("%d: made and read (-+):\n%s", i, diff)
		}
	}
}

// A session that no longer exists affects no other call, even in a shared
// statement.
func TestReadingEndedSessionsTogether(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const n = 60
	var list []tokens.Secret
	for i := range n {
		session, pair := k.create(t, sessionstore.CreateParams{})
		list = append(list, pair.AccessToken)
		switch i % 3 {
		case 1:
			if err := k.Invalidate(t.Context(), session.ID); err != nil {
				t.Fatal(err)
			}
		case 2:
			if _, err := k.pool.Exec(t.Context(), `DELETE FROM "sessionStore" WHERE "id" = $1`, session.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	errs := make([]error, n)
	k.atOnce(t, n, func(i int) error {
		_, _, errs[i] = k.Get(t.Context(), string(list[i]))
		return nil
	})
	for i, err := range errs {
		if want := []error{nil, sessionstore.ErrEnded, sessionstore.ErrNotFound}[i%3]; !errors.Is(err, want) {
			t.Errorf("%d: %v, want %v", i, err, want)
		}
	}
}

// A creation that fails before it is sent fails alone, whatever shares its
// statement.
func TestWhatCannotBeEncodedFailsAlone(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const n = 50
	k.atOnce(t, n+1, func(i int) error {
		if i < n {
			_, _, err := k.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
			return err
		}
		if err := k.CreateUnencodable(t.Context()); !errors.Is(err, sessionstore.ErrUnavailable) {
			t.Errorf("what cannot be encoded: %v", err)
		}
		return nil
	})
	if made := k.count(t, `SELECT count(*) FROM "sessionStore"`); made != n {
		t.Errorf("%d sessions, want %d", made, n)
	}
}
