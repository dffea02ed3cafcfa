package sessionstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// setupFast is setupWith in which signing costs little compared with the database.
func setupFast(t *testing.T, cfg sessionstore.Config) kit {
	t.Helper()
	k := setupWith(t, cfg)
	jwk, _, err := tokens.GenerateKey("HS256")
	if err != nil {
		t.Fatal(err)
	}
	if k.ring, err = tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`)); err != nil {
		t.Fatal(err)
	}
	k.Store = newStore(t, k.pool, k.ring, cfg)
	return k
}

// A refresh is one heap-only update and its confirmation another: they write no
// index, and what they leave behind in a page the next ones clear away. So the table and its indexes do not grow,
// however often sessions are refreshed, and without waiting for VACUUM. So it is where a program says of each pair what
// it is to have.
//
//nolint:paralleltest // a statement that waits for a busy processor keeps old row versions alive
func TestRefreshesAreHeapOnly(t *testing.T) {
	// The claims differ from pair to pair, and are as long as those of the creation.
	each := func(_ context.Context, r sessionstore.PairRequest) (sessionstore.PairParams, error) {
		var n int
		_, err := fmt.Sscanf(r.Subject, "user-%d", &n)
		return sessionstore.PairParams{Claims: roleOf(strings.Repeat(string(rune('a'+rand.IntN(26))), 200*(n%2)))}, err
	}
	for name, pairFor := range map[string]func(context.Context, sessionstore.PairRequest) (sessionstore.PairParams, error){"as they are": nil, "PairFor": each} {
		t.Run(name, func(t *testing.T) { refreshesAreHeapOnly(t, pairFor) }) //nolint:paralleltest // see above
	}
}

func refreshesAreHeapOnly(t *testing.T, pairFor func(context.Context, sessionstore.PairRequest) (sessionstore.PairParams, error)) {
	t.Helper()
	const (
		// One, so that no statement which waits for a processor keeps what another has
		// left behind: a page of this small table would be full in a moment.
		workers = 1
		// So many that a page has some rest, though far less than in any real
		// table: there a row is rotated every three graces at most.
		sessions  = 1000
		rotations = 3    // of each session: in each page some 200 updates, for which there is room for 18
		mostGrown = 1.05 // in the last round, which alone would double the table
	)
	cfg := config()
	cfg.PairFor = pairFor
	cfg.Grace = time.Microsecond // every pair is old enough to be rotated
	// All expire around noon: the day of the expiry is indexed, and is not to change.
	now := time.Now().UTC()
	cfg.Lifetimes.RefreshToken = now.Truncate(24 * time.Hour).Add(36 * time.Hour).Sub(now).Truncate(time.Second)
	cfg.Clients = []sessionstore.OAuthClient{{ID: "agent", Audiences: []string{"https://mcp.example.com", "https://files.example.com"}}}
	k := setupFast(t, cfg)
	stop := k.run(t)
	// VACUUM would hide the effect.
	k.exec(t, `ALTER TABLE "sessionStoreToken" SET (autovacuum_enabled = off)`)

	newest := make([]sessionstore.TokenPair, sessions)
	together(workers, func(worker int) {
		for i := worker; i < sessions; i += workers {
			var err error
			if _, newest[i], err = k.Create(t.Context(), sessionstore.CreateParams{
				Subject: fmt.Sprint("user-", i), ClientID: []string{"app", "agent"}[i%2], Claims: roleOf(strings.Repeat("x", 200*(i%2))),
			}); err != nil {
				t.Error(err)
			}
		}
	})
	var rotated atomic.Int64
	rotate := func() {
		order := rand.Perm(sessions)
		together(workers, func(worker int) {
			for n := worker; n < sessions; n += workers {
				// One statement that confirms many pairs, since a processor was busy, would find each of these few pages full.
				k.await(t, "the confirmations", func() bool { return rotated.Load()-k.confirmations.Load() < sessions/5 })
				i := order[n]
				got, err := k.RefreshTokens(t.Context(), string(newest[i].RefreshToken), sessionstore.Client{})
				if err != nil || got.Outcome != sessionstore.Rotated {
					t.Errorf("%v, %v", got.Outcome, err)
					return
				}
				rotated.Add(1)
				newest[i] = got.Pair
				if _, _, err := k.Get(t.Context(), string(got.Pair.AccessToken)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var sizes []map[string]int64
	for range rotations {
		rotate()
		k.await(t, "the last confirmations", func() bool { return k.confirmations.Load() == rotated.Load() })
		sizes = append(sizes, k.sizes(t))
	}
	stop()
	if t.Failed() {
		return
	}

	before, full := sizes[rotations-2], sizes[rotations-1]
	for name, size := range full {
		if grown := float64(size) / float64(before[name]); grown > mostGrown {
			t.Errorf("%s has not levelled off, but grown to %.2f times its size: %v", name, grown, sizes)
		}
	}
	confirmed := k.confirmations.Load()
	if confirmed < rotated.Load()/2 {
		t.Errorf("only %d of %d pairs were confirmed: the run shows nothing about that", confirmed, rotated.Load())
	}
	// A batch that Run was writing when it was stopped may count on top.
	wanted := rotated.Load() + confirmed
	updates, hot := k.tableUpdates(t, wanted)
	t.Logf("%d of %d updates were heap-only (%.2f %%), %d of them confirmations; sizes %v", hot, updates, 100*float64(hot)/float64(updates), updates-rotated.Load(), full)
	if updates < wanted || float64(hot) < 0.99*float64(updates) {
		t.Errorf("%d of %d updates were heap-only, of %d", hot, updates, wanted)
	}
}

// sizes are the bytes of the token table and of each of its indexes.
func (k kit) sizes(t *testing.T) map[string]int64 {
	t.Helper()
	rows, err := k.pool.Query(t.Context(), `
		SELECT c.relname, pg_relation_size(c.oid) FROM pg_class c
		WHERE c.oid = '"sessionStoreToken"'::regclass
		OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = '"sessionStoreToken"'::regclass)`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	sizes := map[string]int64{}
	for rows.Next() {
		var name string
		var size int64
		if err := rows.Scan(&name, &size); err != nil {
			t.Fatal(err)
		}
		sizes[name] = size
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return sizes
}

// tableUpdates reads the statistics of the token table's updates, when they
// have all arrived: a connection reports at the latest when it ends.
func (k kit) tableUpdates(t *testing.T, wanted int64) (updates, hot int64) {
	t.Helper()
	k.pool.Reset()
	k.await(t, "the statistics", func() bool {
		err := k.pool.QueryRow(t.Context(), `SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'sessionStoreToken'`).Scan(&updates, &hot)
		if err != nil {
			t.Fatal(err)
		}
		return updates >= wanted
	})
	return updates, hot
}
