package keystore_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// A key is published, signs, verifies, and is gone when its last token has expired.
func TestStatesOfAKey(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	r := newReplica(t, pool, config(t))
	first := list(t, r.keys)[0]
	pair := r.create(t, sessionstore.Lifetimes{}) // 720 h

	second := rotate(t, r.keys, false)
	if second.State != keystore.Published {
		t.Errorf("a new key %s", second.State)
	}
	if ahead := second.SignsFrom.Sub(second.CreatedAt).Round(time.Second); ahead != time.Hour {
		t.Errorf("a new key is published %v ahead", ahead)
	}
	ring, err := r.keys.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []tokens.KeyInfo{{ID: first.ID, Algorithm: keystore.DefaultAlgorithm, Signs: true}, {ID: second.ID, Algorithm: keystore.DefaultAlgorithm}}
	if diff := cmp.Diff(want, ring.Keys()); diff != "" {
		t.Error(diff)
	}

	pass(t, pool, time.Hour+time.Second)
	if ring, err = r.keys.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	want = []tokens.KeyInfo{{ID: second.ID, Algorithm: keystore.DefaultAlgorithm, Signs: true}, {ID: first.ID, Algorithm: keystore.DefaultAlgorithm}}
	if diff := cmp.Diff(want, ring.Keys()); diff != "" {
		t.Error(diff)
	}

	maintain(t, r.keys)
	if until := list(t, r.keys)[1].VerifiesUntil; !until.IsZero() {
		t.Errorf("the end of a key is known while replicas may still sign with it: %v", until)
	}
	pass(t, pool, time.Hour)
	maintain(t, r.keys)
	keys := list(t, r.keys)
	if diff := cmp.Diff([]keystore.State{keystore.Signing, keystore.Verifying}, states(t, r.keys)); diff != "" {
		t.Error(diff)
	}
	until := keys[1].VerifiesUntil
	if until.Before(pair.RefreshTokenExpiresAt) || until.After(pair.RefreshTokenExpiresAt.Add(49*time.Hour)) {
		t.Errorf("the key verifies until %v, its last token expires at %v", until, pair.RefreshTokenExpiresAt)
	}
	if !keys[0].VerifiesUntil.IsZero() {
		t.Error("the key that signs has an end")
	}

	pass(t, pool, time.Until(until)+time.Second)
	maintain(t, r.keys)
	if ids := list(t, r.keys); len(ids) != 1 || ids[0].ID != second.ID {
		t.Errorf("left are %v", ids)
	}
	if n := count(t, pool); n != 1 {
		t.Errorf("%d rows are left", n)
	}
}

// A session may have a longer lifetime than others: its token's key is kept for it.
func TestKeyStaysForTheLongestSession(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	r := newReplica(t, pool, config(t))
	r.create(t, sessionstore.Lifetimes{})
	long := r.create(t, sessionstore.Lifetimes{RefreshToken: 10 * 365 * 24 * time.Hour})

	rotate(t, r.keys, true)
	pass(t, pool, 2*time.Hour)
	maintain(t, r.keys)
	if until := list(t, r.keys)[1].VerifiesUntil; until.Before(long.RefreshTokenExpiresAt) {
		t.Errorf("the key verifies until %v, one of its tokens until %v", until, long.RefreshTokenExpiresAt)
	}
	pass(t, pool, 9*365*24*time.Hour)
	maintain(t, r.keys)
	if _, err := r.keys.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.refresh(t, long); err != nil {
		t.Errorf("its refresh: %v", err)
	}
}

func TestReplicasBeginWithOneKey(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	unlock := lockKeys(t, pool)

	ids := make([]string, 6)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			ring, err := newStore(t, pool, config(t)).Begin(t.Context(), "")
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = ring.Keys()[0].ID
		})
	}
	awaitBlocked(t, pool, min(len(ids), int(pool.Config().MaxConns)-1))
	unlock()
	wg.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Errorf("keys %v", ids)
		}
	}
	if n := count(t, pool); n != 1 {
		t.Errorf("%d keys were made", n)
	}
}

func TestRotationsAtOnceMakeOneKey(t *testing.T) {
	t.Parallel()
	for name, now := range map[string]bool{"ahead": false, "now": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := testdb.Pool(t)
			begun(t, pool, config(t))
			unlock := lockKeys(t, pool)

			const replicas = 3
			var made atomic.Int32
			ids := make([]string, replicas)
			var wg sync.WaitGroup
			for i := range ids {
				wg.Go(func() {
					key, isNew, err := newStore(t, pool, config(t)).Rotate(t.Context(), now)
					if err != nil {
						t.Error(err)
					}
					if isNew {
						made.Add(1)
					}
					ids[i] = key.ID
				})
			}
			awaitBlocked(t, pool, replicas)
			unlock()
			wg.Wait()
			if made.Load() != 1 || ids[0] != ids[1] || ids[1] != ids[2] {
				t.Errorf("%d keys were made: %v", made.Load(), ids)
			}
			if n := count(t, pool); n != 2 {
				t.Errorf("%d keys, want 2", n)
			}
		})
	}
}

func TestScheduleMakesOneKeyAnInterval(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	cfg := config(t)
	cfg.RotateEvery = 24 * time.Hour
	replicas, told := make([]*keystore.Store, 3), make(chan string, 10)
	for i := range replicas {
		replicas[i], _ = begun(t, pool, cfg)
		replicas[i].OnRotate(func(_ context.Context, id string) { told <- id })
	}
	maintainAll := func() {
		t.Helper()
		var wg sync.WaitGroup
		for _, r := range replicas {
			wg.Go(func() {
				if err := r.Maintain(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}

	maintainAll()
	pass(t, pool, 23*time.Hour)
	maintainAll()
	if n := count(t, pool); n != 1 {
		t.Fatalf("%d keys before the interval has passed", n)
	}
	pass(t, pool, time.Hour)
	maintainAll()
	maintainAll()
	if diff := cmp.Diff([]keystore.State{keystore.Published, keystore.Signing}, states(t, replicas[0])); diff != "" {
		t.Error(diff)
	}
	if list, err := replicas[0].List(t.Context()); err != nil || len(told) != 1 || <-told != list[0].ID {
		t.Errorf("%d were notified of the new key; %v", len(told), err)
	}
	pass(t, pool, 24*time.Hour) // an hour less than the new one's interval
	maintainAll()
	if n := count(t, pool); n != 2 {
		t.Errorf("%d keys, want 2", n)
	}

	cfg.RotateEvery = 0
	replicas[0], _ = begun(t, pool, cfg)
	pass(t, pool, 10_000*time.Hour)
	maintain(t, replicas[0])
	if keys := list(t, replicas[0]); keys[0].State != keystore.Signing {
		t.Errorf("a rotation without a schedule: %v", keys)
	}
}

func TestRotateTwice(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	s, _ := begun(t, pool, config(t))
	first := rotate(t, s, false)

	again, made, err := s.Rotate(t.Context(), false)
	if diff := cmp.Diff(first, again); made || err != nil || diff != "" {
		t.Errorf("made is %v, %v: %s", made, err, diff)
	}
	hastened, made, err := s.Rotate(t.Context(), true)
	if made || err != nil || hastened.ID != first.ID || hastened.State != keystore.Signing {
		t.Errorf("made is %v, %v: %v", made, err, hastened)
	}
	if next := rotate(t, s, true); next.ID == first.ID || next.State != keystore.Signing {
		t.Errorf("the next rotation: %v", next)
	}
}

func TestRotateBeforeTheFirstKey(t *testing.T) {
	t.Parallel()
	s := newStore(t, testdb.Pool(t), config(t))
	if _, _, err := s.Rotate(t.Context(), false); !errors.Is(err, keystore.ErrNoKeys) {
		t.Errorf("Rotate: %v", err)
	}
	if _, err := s.Load(t.Context()); !errors.Is(err, keystore.ErrNoKeys) {
		t.Errorf("Load: %v", err)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	r := newReplica(t, pool, config(t))
	old := r.create(t, sessionstore.Lifetimes{})
	first := list(t, r.keys)[0]
	leaked := rotate(t, r.keys, true)
	reload(t, r.keys)
	lost := r.create(t, sessionstore.Lifetimes{})
	if id, err := r.check(t, lost); id != leaked.ID || err != nil {
		t.Fatalf("signed by %q, %v", id, err)
	}

	signs, err := r.keys.Revoke(t.Context(), leaked.ID)
	if err != nil || signs.State != keystore.Signing || signs.ID == leaked.ID || signs.ID == first.ID {
		t.Errorf("after it signs %v, %v", signs, err)
	}
	reload(t, r.keys)
	if _, err := r.check(t, lost); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("an access token of the leaked key: %v", err)
	}
	if _, err := r.refresh(t, lost); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("a refresh token of the leaked key: %v", err)
	}
	if pair, err := r.refresh(t, old); err != nil {
		t.Errorf("a refresh token of the earlier key: %v", err)
	} else if id, err := r.check(t, pair); id != signs.ID || err != nil {
		t.Errorf("signed by %q, %v", id, err)
	}

	// A published key takes over, and one that does not sign leaves the others alone.
	published := rotate(t, r.keys, false)
	if got, err := r.keys.Revoke(t.Context(), signs.ID); err != nil || got.ID != published.ID || got.State != keystore.Signing {
		t.Errorf("after it signs %v, %v", got, err)
	}
	if got, err := r.keys.Revoke(t.Context(), first.ID); err != nil || got.ID != published.ID {
		t.Errorf("after it signs %v, %v", got, err)
	}
	if n := count(t, pool); n != 1 {
		t.Errorf("%d keys, want 1", n)
	}
	if _, err := r.keys.Revoke(t.Context(), first.ID); !errors.Is(err, keystore.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
}

// Those of a file are taken over once, and what they signed stays good.
func TestBeginTakesKeysOver(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	var set tokens.Secret
	var ids []string
	for _, algorithm := range []string{"HS256", "ES256", "RS256"} {
		jwk, id, err := tokens.GenerateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		if set, err = tokens.AppendKey(set, jwk); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	s := newStore(t, pool, config(t))
	ring, err := s.Begin(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	want := []tokens.KeyInfo{
		{ID: ids[0], Algorithm: "HS256", Signs: true}, {ID: ids[1], Algorithm: "ES256"}, {ID: ids[2], Algorithm: "RS256"},
	}
	fromFile, err := tokens.ParseKeyRing([]byte(set))
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]tokens.KeyInfo{"file": fromFile.Keys(), "database": ring.Keys()} {
		if diff := cmp.Diff(want, got, cmp.Transformer("byID", func(l []tokens.KeyInfo) map[string]tokens.KeyInfo {
			m := map[string]tokens.KeyInfo{}
			for _, k := range l {
				m[k.ID] = k
			}
			return m
		})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if diff := cmp.Diff(keyIDs(t, fromFile.PublicJWKS()), keyIDs(t, ring.PublicJWKS())); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Revoke(t.Context(), ids[2]); err != nil {
		t.Fatal(err)
	}
	again, err := newStore(t, pool, config(t)).Begin(t.Context(), set)
	if err != nil || len(again.Keys()) != 2 {
		t.Errorf("the file brought back what was revoked: %v, %v", again, err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	for name, change := range map[string]func(*keystore.Config){
		"no sealer":           func(c *keystore.Config) { c.Sealer = nil },
		"algorithm":           func(c *keystore.Config) { c.Algorithm = "none" },
		"a negative poll":     func(c *keystore.Config) { c.Poll = -1 },
		"a hasty replacement": func(c *keystore.Config) { c.RotateEvery = c.PublishAhead },
	} {
		cfg := config(t)
		change(&cfg)
		if _, err := keystore.New(pool, cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := keystore.New(nil, config(t)); err == nil {
		t.Error("no pool: no error")
	}
	if _, err := keystore.New(pool, keystore.Config{Sealer: sealer(t, sealingKey(1)), Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

func maintain(t *testing.T, s *keystore.Store) {
	t.Helper()
	if err := s.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func reload(t *testing.T, s *keystore.Store) {
	t.Helper()
	if _, err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, pool *pgxpool.Pool) (n int) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM "sessionStoreSigningKey"`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// lockKeys makes every change of the keys wait.
func lockKeys(t *testing.T, pool *pgxpool.Pool) (unlock func()) {
	t.Helper()
	tx, err := pool.BeginTx(t.Context(), pgx.TxOptions{})
	if err == nil {
		_, err = tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('latchkey signing keys', 0))`)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func awaitBlocked(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig) // those that wait may have all of the pool's
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	await(t, "waiting for the lock", func() bool {
		var blocked int
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'`).Scan(&blocked)
		if err != nil {
			t.Error(err)
			return true
		}
		return blocked >= n
	})
}

// Where no algorithm is named, keys stay of the kind that verifiers know, even when the only one has leaked.
func TestAlgorithmStays(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	eddsa := config(t)
	eddsa.Algorithm = "EdDSA"
	begun(t, pool, eddsa)

	s, _ := begun(t, pool, config(t))
	second := rotate(t, s, true)
	for _, key := range list(t, s) {
		if key.ID == second.ID {
			continue
		}
		if _, err := s.Revoke(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
	}
	third, err := s.Revoke(t.Context(), second.ID)
	if err != nil {
		t.Fatal(err)
	}
	if second.Algorithm != "EdDSA" || third.Algorithm != "EdDSA" {
		t.Errorf("the second key is for %s, the third for %s", second.Algorithm, third.Algorithm)
	}

	es256 := config(t)
	es256.Algorithm = "ES256"
	if fourth := rotate(t, newStore(t, pool, es256), true); fourth.Algorithm != "ES256" {
		t.Errorf("a key for ES256 is for %s", fourth.Algorithm)
	}
}
