package sessionstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// run runs the store's background work; the function it returns ends it.
func (k kit) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func (k kit) confirmed(t *testing.T) bool {
	t.Helper()
	return k.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "confirmedAt" IS NOT NULL`) == 1
}

// awaitPatience is how long the slowest machine may take for something quick.
const awaitPatience = time.Minute

func (k kit) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for start := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > awaitPatience {
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

// A pair is recorded as in use once a generation, however often its token is used.
func TestConfirmedOnce(t *testing.T) {
	t.Parallel()
	k := setup(t)
	defer k.run(t)()
	k.await(t, "the store to run", k.Gathers) // until it does, Get records by itself

	session, pair := k.create(t, sessionstore.CreateParams{})
	for generation := range 3 {
		before, answers := k.confirmations.Load(), k.queries.Load()
		for range 20 {
			k.get(t, pair)
		}
		if n := k.queries.Load() - answers; n != 20 {
			t.Errorf("generation %d: 20 reads cost %d statements", generation, n)
		}
		k.await(t, "the confirmation", func() bool { return k.confirmed(t) && k.confirmations.Load() > before })
		for range 20 {
			k.get(t, pair)
		}
		time.Sleep(300 * time.Millisecond) // another batch would be written by then
		if n := k.confirmations.Load() - before; n != 1 {
			t.Errorf("generation %d: recorded %d times", generation, n)
		}
		k.age(t, session.ID, aWhile)
		pair = k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
		if k.confirmed(t) {
			t.Errorf("generation %d: the new pair is confirmed unseen", generation)
		}
	}
}

func (k kit) get(t *testing.T, pair sessionstore.TokenPair) {
	t.Helper()
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); err != nil {
		t.Fatal(err)
	}
}

// Collected uses are written at shutdown.
func TestConfirmationsAreFlushedAtShutdown(t *testing.T) {
	t.Parallel()
	k := setup(t)
	stop := k.run(t)
	k.await(t, "the store to run", k.Gathers)
	_, pair := k.create(t, sessionstore.CreateParams{})
	k.get(t, pair)
	stop()
	if !k.confirmed(t) {
		t.Error("the confirmation was lost")
	}
}

// A program that does not run the store's background work loses no theft.
func TestConfirmedWithoutRun(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, first := k.create(t, sessionstore.CreateParams{})
	second := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	k.get(t, second)
	k.age(t, session.ID, grace)
	if _, err := k.RefreshTokens(t.Context(), string(first.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrReuse) {
		t.Errorf("the predecessor of a pair in use: %v", err)
	}
}

// A confirmation that comes late does not count for the next generation.
func TestLateConfirmationIsIgnored(t *testing.T) {
	t.Parallel()
	k := setup(t)
	stop := k.run(t)
	k.await(t, "the store to run", k.Gathers)
	_, pair := k.create(t, sessionstore.CreateParams{})
	k.get(t, pair)
	k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	stop()
	if k.confirmed(t) {
		t.Error("the new pair is confirmed by the use of the old one")
	}
}

// Confirming waits for no lock, and a failure of it refuses no valid token.
func TestConfirmationDoesNotWait(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{})
	tx, err := k.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), `SELECT 1 FROM "sessionStoreToken" WHERE "session" = $1 FOR UPDATE`, session.ID); err != nil {
		t.Fatal(err)
	}
	k.get(t, pair)
	if n := k.unconfirmed.Load(); n != 0 { // the lock is held to the end: only the statement's own limit ends its wait
		t.Errorf("a read waited for a lock, until its statement was given up")
	}
}

// A database that lost a late retry in a failover numbers the next access token
// as the lost one. Using that one says nothing about the later pair.
func TestTokenOfLostCommitsConfirmsNothing(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, first := k.create(t, sessionstore.CreateParams{})
	k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	k.age(t, session.ID, aWhile)
	lost := k.refresh(t, first.RefreshToken, sessionstore.RetriedLate)
	k.exec(t, `UPDATE "sessionStoreToken" SET "accessGeneration" = 1 WHERE "session" = $1`, session.ID)
	time.Sleep(1100 * time.Millisecond) // an outage lasts longer than the second that iat counts in
	k.age(t, session.ID, aWhile)
	next := k.refresh(t, lost.RefreshToken, sessionstore.Rotated)
	k.get(t, lost)
	if k.confirmed(t) {
		t.Error("the new pair is confirmed by a token of lost commits")
	}
	k.get(t, next)
	if !k.confirmed(t) {
		t.Error("the new pair is not confirmed by its own token")
	}
}

// cancelling ends a context as soon as a confirmation is being sent.
type cancelling struct{ cancel context.CancelFunc }

func (c cancelling) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if data.SQL == sessionstore.ConfirmQuery {
		c.cancel()
	}
	return ctx
}

func (cancelling) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Nor is a batch lost that is just being written.
func TestShutdownDuringAFlush(t *testing.T) {
	t.Parallel()
	k := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg := k.pool.Config()
	cfg.ConnConfig.Tracer = cancelling{cancel}
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	k.Store = newStore(t, pool, k.ring, config())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	k.await(t, "the store to run", k.Gathers)
	_, pair := k.create(t, sessionstore.CreateParams{})
	k.get(t, pair)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !k.confirmed(t) {
		t.Error("the confirmation was lost")
	}
}

// A bound access token may be a copy: without a check of its proof it is accepted, but says nothing about its
// client.
func TestUnprovenUseDoesNotConfirm(t *testing.T) {
	t.Parallel()
	k := setup(t)
	_, pair := k.create(t, sessionstore.CreateParams{KeyThumbprint: ownKey})
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); err != nil || k.confirmed(t) {
		t.Errorf("without a check: %v, confirmed: %v", err, k.confirmed(t))
	}
	refused := errors.New("no proof")
	_, _, err := k.GetWith(t.Context(), string(pair.AccessToken), sessionstore.GetOptions{Check: func(tokens.Claims) error { return refused }})
	if !errors.Is(err, refused) || k.confirmed(t) {
		t.Errorf("with a check that fails: %v, confirmed: %v", err, k.confirmed(t))
	}
	_, _, err = k.GetWith(t.Context(), string(pair.AccessToken), sessionstore.GetOptions{Check: func(tokens.Claims) error { return nil }})
	if err != nil || !k.confirmed(t) {
		t.Errorf("with a check that passes: %v, confirmed: %v", err, k.confirmed(t))
	}
}
