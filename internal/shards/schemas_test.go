package shards_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// hold takes the advisory locks that transactions of the installation hold after some work, until
// the test ends.
func hold(t *testing.T, pool *pgxpool.Pool, lock string) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	if _, err := tx.Exec(t.Context(), lock); err != nil {
		t.Fatal(err)
	}
}

// The locks of cleanup and of subjects delay no other schema of the database.
func TestLocksAreOfOneSchema(t *testing.T) {
	t.Parallel()
	k := layout{"schemas", testdb.Schemas, testdb.FrozenSchemas}.setup(t, limited(2, sessionstore.EndOldest))
	hold(t, k.pools[1], `SELECT pg_advisory_xact_lock("sessionStoreLock"(5071224962148203))`)
	hold(t, k.pools[1], `SELECT pg_advisory_xact_lock(hashtextextended('ada', "sessionStoreLock"(4913067152811520273)))`)
	rule := cleanup.Rule{Kind: cleanup.Revoked, After: time.Hour}
	for i, store := range k.stores {
		_, err := store.RemoveDue(t.Context(), rule, nil, time.Minute)
		if isHeld := i == 1; isHeld != errors.Is(err, sessionstore.ErrCleanupRunning) || !isHeld && err != nil {
			t.Errorf("cleanup of schema %d, while that of schema 1 runs: %v", i, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if i == 1 {
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
		}
		_, err = store.InvalidateSubject(ctx, "ada", uuid.Nil)
		cancel()
		if isHeld := i == 1; isHeld != (err != nil) {
			t.Errorf("a sign-out on schema %d, while the subject is locked on schema 1: %v", i, err)
		}
	}
}

// A verifier follows each shard, wherever it lies: revocations are noticed, also those of a
// subject, and what lives stays accepted without a question.
func TestVerifiersFollowAllShards(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			k := three.setup(t, config())
			accept, err := k.stores[0].Verifier(verifier.Config{Bound: bound, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}, k.stores[1:]...)
			if err != nil {
				t.Fatal(err)
			}
			run(t, accept.Run)
			for i, store := range k.stores {
				await(t, "the verifier follows the shard", func() bool {
					age, known := accept.ShardAge(i)
					return known && age < bound
				})
				ended, ofEnded := create(t, store, "ada")
				ofSubject, ofSubjects := create(t, store, "bob")
				live, ofLive := create(t, store, "eve")
				for _, pair := range []sessionstore.TokenPair{ofEnded, ofSubjects, ofLive} {
					if _, err := accept.Verify(t.Context(), string(pair.AccessToken)); err != nil {
						t.Errorf("shard %d: %v", i, err)
					}
				}
				if err := store.Invalidate(t.Context(), ended.ID); err != nil {
					t.Fatal(err)
				}
				if n, err := store.InvalidateSubject(t.Context(), "bob", uuid.Nil); err != nil || n != 1 {
					t.Fatalf("%d sessions of %s ended, %v", n, ofSubject.ID, err)
				}
				for _, pair := range []sessionstore.TokenPair{ofEnded, ofSubjects} {
					await(t, "the revocation is known", func() bool {
						_, err := accept.Verify(t.Context(), string(pair.AccessToken))
						return errors.Is(err, verifier.ErrRevoked)
					})
					if _, err := store.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
						t.Errorf("shard %d, a refresh of a session that has ended: %v", i, err)
					}
				}
				if _, err := accept.Verify(t.Context(), string(ofLive.AccessToken)); err != nil {
					t.Errorf("shard %d, session %s: %v", i, live.ID, err)
				}
			}
		})
	}
}

func create(t *testing.T, store *sessionstore.Store, subject string) (sessionstore.Session, sessionstore.TokenPair) {
	t.Helper()
	session, pair, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: subject})
	if err != nil {
		t.Fatal(err)
	}
	return session, pair
}
