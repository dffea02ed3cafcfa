package keystore_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Clients refresh at replicas of their choice while the keys are replaced, at once and one after the other.
func TestRotationsUnderLoadLogNobodyOut(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	replicas := []*replica{newReplica(t, pool, config(t)).run(t), newReplica(t, pool, config(t)).run(t), newReplica(t, pool, config(t))} // the last one gets no notification
	var stop atomic.Bool
	var refreshed atomic.Int64
	var clients sync.WaitGroup
	var aging sync.Mutex
	signers := sync.Map{}
	for range 4 {
		pair := replicas[0].create(t, sessionstore.Lifetimes{})
		clients.Go(func() {
			for i := 0; !stop.Load(); i++ {
				// The grace is over at once, for the next refresh to be a rotation.
				// One at a time: two such statements lock the same rows, in any order.
				aging.Lock()
				_, err := pool.Exec(t.Context(), `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - interval '1 h' WHERE "issuedAt" > now() - interval '1 h'`)
				aging.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
				next, err := replicas[i%len(replicas)].refresh(t, pair)
				if err != nil {
					t.Errorf("refresh %d: %v", i, err)
					return
				}
				pair = next
				id, err := replicas[(i+1)%len(replicas)].check(t, pair)
				if err != nil && !errors.Is(err, sessionstore.ErrSuperseded) {
					t.Errorf("access %d: %v", i, err)
					return
				}
				signers.Store(id, true)
				refreshed.Add(1)
			}
		})
	}
	for range 5 {
		before := refreshed.Load()
		await(t, "refreshes", func() bool { return refreshed.Load() > before+20 || t.Failed() })
		rotate(t, replicas[1].keys, true)
	}
	before := refreshed.Load()
	await(t, "refreshes", func() bool { return refreshed.Load() > before+20 || t.Failed() })
	stop.Store(true)
	clients.Wait()
	n := 0
	signers.Range(func(any, any) bool { n++; return true })
	if n < 5 {
		t.Errorf("only %d keys came to sign", n)
	}
}

func TestRotationReachesRunningReplicas(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	a, b := newReplica(t, pool, config(t)).run(t), newReplica(t, pool, config(t)).run(t)
	key := rotate(t, a.keys, true)
	for _, r := range []*replica{a, b} {
		await(t, "the new key", func() bool {
			id, err := r.check(t, r.create(t, sessionstore.Lifetimes{}))
			if err != nil {
				t.Error(err)
			}
			return id == key.ID || t.Failed()
		})
	}
}

// Where notifications do not arrive, the poll finds a published key long before it signs, and that it signs.
func TestPollWithoutNotifications(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	operator, _ := begun(t, pool, config(t))
	cfg := config(t)
	cfg.Poll = 100 * time.Millisecond
	r := newReplica(t, pool, cfg)
	var rings atomic.Pointer[tokens.KeyRing]
	r.keys.OnChange(func(ring *tokens.KeyRing) error { rings.Store(ring); return nil })
	r.run(t)
	stopListening(t, pool)

	key := rotate(t, operator, false)
	await(t, "the published key", func() bool {
		stopListening(t, pool)
		ring := rings.Load()
		return ring != nil && slices.Contains(ring.Keys(), tokens.KeyInfo{ID: key.ID, Algorithm: keystore.DefaultAlgorithm})
	})
	pass(t, pool, 2*time.Hour)
	await(t, "its signing", func() bool {
		return slices.Contains(rings.Load().Keys(), tokens.KeyInfo{ID: key.ID, Algorithm: keystore.DefaultAlgorithm, Signs: true})
	})
	if keystore.DefaultPoll*10 > keystore.DefaultPublishAhead {
		t.Error("a key is not published for many polls before it signs")
	}
}

// stopListening ends connections that listen.
func stopListening(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	exec(t, pool, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND query ILIKE 'listen%'`)
}

// A replica without a notification looks for a key before it refuses its tokens.
func TestUnknownKeyIsLookedFor(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	a, b := newReplica(t, pool, config(t)), newReplica(t, pool, config(t))
	rotate(t, a.keys, true)
	reload(t, a.keys)
	pair := a.create(t, sessionstore.Lifetimes{})

	id, err := b.check(t, pair)
	if err != nil || id != list(t, b.keys)[0].ID {
		t.Errorf("%q, %v", id, err)
	}
	if _, err := b.refresh(t, pair); err != nil {
		t.Error(err)
	}
}

// An unknown state is not a reason to refuse a token.
func TestUnknownKeyInAnOutage(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	a, b := newReplica(t, pool, config(t)), newReplica(t, pool, config(t))
	rotate(t, a.keys, true)
	reload(t, a.keys)
	pair := a.create(t, sessionstore.Lifetimes{})

	exec(t, pool, `ALTER TABLE "sessionStoreSigningKey" RENAME TO "away"`)
	_, err := b.refresh(t, pair)
	if !errors.Is(err, sessionstore.ErrUnavailable) || errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("a refresh token: %v", err)
	}
	if _, err := b.check(t, pair); !errors.Is(err, sessionstore.ErrUnavailable) || errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("an access token: %v", err)
	}
	if err := b.sessions.RevokeToken(t.Context(), string(pair.RefreshToken)); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Errorf("a revocation, which would otherwise be taken for done: %v", err)
	}
	exec(t, pool, `ALTER TABLE "away" RENAME TO "sessionStoreSigningKey"`)
	if _, err := b.refresh(t, pair); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// reads counts how often the keys were read.
type reads struct{ n atomic.Int64 }

func (r *reads) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, `JOIN "sessionStoreSigningKey"`) {
		r.n.Add(1)
	}
	return ctx
}

func (*reads) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Tokens that name keys at random cost the database ten reads a second at most, which they share.
func TestUnknownKeysAreBounded(t *testing.T) {
	t.Parallel()
	cfg, counted := testdb.Pool(t).Config(), &reads{}
	cfg.ConnConfig.Tracer = counted
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	r := newReplica(t, pool, config(t))
	stranger, err := tokens.ParseKeyRing(strangeSet(t))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := tokens.NewSigner(stranger, tokens.Config{Issuer: "https://issuer.test", Audience: "api"})
	if err != nil {
		t.Fatal(err)
	}
	forged, err := signer.Sign(tokens.Claims{Type: tokens.RefreshToken, ExpiresAt: time.Now().Add(time.Hour), IssuedAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	began, before := time.Now(), counted.n.Load()
	var senders sync.WaitGroup
	for range 50 {
		senders.Go(func() {
			if _, err := r.sessions.RefreshTokens(t.Context(), string(forged), sessionstore.Client{}); !errors.Is(err, tokens.ErrInvalid) {
				t.Error(err)
			}
		})
	}
	senders.Wait()
	took := time.Since(began)
	if n := counted.n.Load() - before; n < 1 || n > int64(took/(100*time.Millisecond))+1 {
		t.Errorf("%d reads in %v", n, took)
	}
}

func strangeSet(t *testing.T) []byte {
	t.Helper()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	set, err := tokens.AppendKey("", jwk)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(set)
}

func TestRunOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	server := testdb.NewServer(t)
	cfg := config(t)
	cfg.Poll = 50 * time.Millisecond
	r := newReplica(t, server.Pool(), cfg).run(t)

	server.Kill()
	time.Sleep(300 * time.Millisecond) // some polls fail
	server.Start()
	var key keystore.Key
	await(t, "a rotation", func() bool {
		var err error
		key, _, err = r.keys.Rotate(context.WithoutCancel(t.Context()), true)
		return err == nil
	})
	await(t, "the new key", func() bool {
		id, err := r.check(t, r.create(t, sessionstore.Lifetimes{}))
		return err == nil && id == key.ID
	})
}

func keyIDs(t *testing.T, jwks []byte) []string {
	t.Helper()
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(set.Keys))
	for i, k := range set.Keys {
		ids[i] = k.ID
	}
	slices.Sort(ids)
	return ids
}
