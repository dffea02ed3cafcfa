package sessionstore_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// one is a store on one connection, and the round trips that were made on it.
func one(tb testing.TB, cfg sessionstore.Config) (*sessionstore.Store, *atomic.Int64) {
	tb.Helper()
	store, _, trips := oneConnection(tb, cfg)
	return store, trips
}

func oneConnection(tb testing.TB, cfg sessionstore.Config) (*sessionstore.Store, *pgxpool.Pool, *atomic.Int64) {
	tb.Helper()
	poolConfig, err := pgxpool.ParseConfig(testdb.URL(tb))
	if err != nil {
		tb.Fatal(err)
	}
	poolConfig.MaxConns = 1
	trips := testdb.CountTrips(poolConfig.ConnConfig)
	pool, err := pgxpool.NewWithConfig(tb.Context(), poolConfig)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	store, err := sessionstore.New(pool, newRing(tb), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return store, pool, trips
}

type operationOnSession struct {
	name string
	do   func() error
}

// everyOperation is what a session goes through. Each can be repeated.
func everyOperation(tb testing.TB, store *sessionstore.Store) []operationOnSession {
	tb.Helper()
	ctx := tb.Context()
	params := sessionstore.CreateParams{Subject: "user-1", Data: []byte(`{"cart":[1,2,3],"locale":"nl"}`)}
	session, pair, err := store.Create(ctx, params)
	if err != nil {
		tb.Fatal(err)
	}
	ended, _, err := store.Create(ctx, params)
	if err != nil {
		tb.Fatal(err)
	}
	_, newest, err := store.Create(ctx, params)
	if err != nil {
		tb.Fatal(err)
	}
	_, claimsSum, err := store.LoadClaims(ctx, session.ID)
	if err != nil {
		tb.Fatal(err)
	}
	claims := [][]byte{[]byte(`{"role":"editor"}`), []byte(`{"role":"viewer"}`)}
	checksum, data := session.Checksum, [][]byte{[]byte(`{"a":1}`), []byte(`{"a":2}`)}
	return []operationOnSession{
		{"Create", func() error {
			_, _, err := store.Create(ctx, params)
			return err
		}},
		{"Get", func() error {
			_, _, err := store.Get(ctx, string(pair.AccessToken))
			return err
		}},
		{"Load", func() error {
			_, err := store.Load(ctx, session.ID)
			return err
		}},
		{"RefreshTokens", func() error {
			got, err := store.RefreshTokens(ctx, string(newest.RefreshToken), sessionstore.Client{UserAgent: "test", IP: "192.0.2.1"})
			newest = got.Pair
			return err
		}},
		{"Update", func() error {
			data[0], data[1] = data[1], data[0]
			next, err := store.Update(ctx, session.ID, checksum, data[0])
			checksum = next
			return err
		}},
		{"Update, unchanged", func() error {
			_, err := store.Update(ctx, session.ID, session.Checksum, params.Data)
			return err
		}},
		{"Patch", func() error {
			_, err := store.Patch(ctx, session.ID, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{Session: 48 * time.Hour}, Label: &params.Subject})
			return err
		}},
		{"SetClaims", func() error {
			claims[0], claims[1] = claims[1], claims[0]
			next, err := store.SetClaims(ctx, session.ID, claimsSum, claims[0], sessionstore.SetClaimsOptions{})
			claimsSum = next
			return err
		}},
		{"SetClaims, superseding", func() error {
			next, err := store.SetClaims(ctx, session.ID, claimsSum, claims[0], sessionstore.SetClaimsOptions{Supersede: true})
			claimsSum = next
			return err
		}},
		{"LoadClaims", func() error {
			_, _, err := store.LoadClaims(ctx, session.ID)
			return err
		}},
		{"Invalidate", func() error { return store.Invalidate(ctx, ended.ID) }},
		{"InvalidateSubject", func() error {
			_, err := store.InvalidateSubject(ctx, "nobody", uuid.Nil)
			return err
		}},
		{"FindDue", func() error {
			_, err := store.FindDue(ctx, expiredLongAgo, 10)
			return err
		}},
		{"RemoveDue", func() error {
			_, err := store.RemoveDue(ctx, expiredLongAgo, nil, time.Second)
			return err
		}},
		{"List", func() error {
			_, err := store.List(ctx, "user-1", sessionstore.ListParams{Limit: 1})
			return err
		}},
	}
}

// rotating is a configuration in which every refresh is a rotation.
func rotating() sessionstore.Config {
	cfg := config()
	cfg.Grace = 1 // ns
	return cfg
}

// Each operation is one round trip to the database, and an Update that changes
// nothing is none.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	checkRoundTrips(t, rotating())
}

func TestRoundTripsOfSealedData(t *testing.T) {
	t.Parallel()
	cfg := sealing(t, newKeyset(t))
	cfg.Grace = rotating().Grace
	checkRoundTrips(t, cfg)
}

func checkRoundTrips(t *testing.T, cfg sessionstore.Config) {
	t.Helper()
	store, trips := one(t, cfg)
	for _, op := range everyOperation(t, store) {
		want := int64(1)
		if op.name == "Update, unchanged" {
			want = 0
		}
		op.makesTrips(t, trips, want)
	}
}

// makesTrips requires a number of round trips per call.
func (op operationOnSession) makesTrips(t *testing.T, trips *atomic.Int64, want int64) {
	t.Helper()
	for range 2 { // the first time it is prepared, and the pair's first use recorded
		if err := op.do(); err != nil {
			t.Fatalf("%s: %v", op.name, err)
		}
	}
	const times = 10
	before := trips.Load()
	for range times {
		if err := op.do(); err != nil {
			t.Fatalf("%s: %v", op.name, err)
		}
	}
	if got := trips.Load() - before; got != times*want {
		t.Errorf("%s: %d calls made %d round trips, want %d", op.name, times, got, times*want)
	}
}

// A change of privilege, a creation that may be sent again, and what users do with their
// own sessions are one round trip each. Only what depends on an existing session takes
// more: to find it, and to read its pair.
func TestRoundTripsOfMore(t *testing.T) {
	t.Parallel()
	sealed := sealing(t, newKeyset(t))
	limited, lifetimesFor := config(), config()
	limited.SessionsPerSubject = 1
	lifetimesFor.LifetimesFor = func(sessionstore.CreateParams) sessionstore.Lifetimes { return sessionstore.Lifetimes{} }
	for name, test := range map[string]struct {
		cfg       sessionstore.Config
		replacing int64 // with the data that is there
	}{
		"plain":                                {config(), 1},
		"limited":                              {limited, 1},
		"sealed data":                          {sealed, 2}, // which is sealed for one session
		"lifetimes that depend on the session": {lifetimesFor, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := test.cfg
			cfg.Grace = rotating().Grace
			cfg.PairFor = pairForEditors
			store, trips := one(t, cfg)
			ctx, n := t.Context(), 0
			create := func(params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair) {
				t.Helper()
				session, pair, err := store.Create(ctx, params)
				if err != nil {
					t.Fatal(err)
				}
				return session, pair
			}
			guest, _ := create(sessionstore.CreateParams{Data: []byte(`{"cart":[1]}`)})
			user, newest := create(sessionstore.CreateParams{Subject: "ann"})
			again := sessionstore.CreateParams{Subject: "carl", IdempotencyKey: "again"}
			kept, other := create(again)
			authentication := &tokens.Authentication{AuthTime: time.Now(), ACR: "gold"}
			for _, op := range []struct {
				trips int64
				operationOnSession
			}{
				{1, operationOnSession{"RefreshTokens, with PairFor", func() error {
					got, err := store.RefreshTokens(ctx, string(newest.RefreshToken), sessionstore.Client{})
					newest = got.Pair
					return err
				}}},
				{1, operationOnSession{"PatchOwn", func() error {
					n++
					_, err := store.PatchOwn(ctx, "carl", kept.ID, sessionstore.Patch{Label: new(fmt.Sprint("phone ", n))})
					return err
				}}},
				{1, operationOnSession{"InvalidateOwn", func() error { return store.InvalidateOwn(ctx, "ann", user.ID) }}},
				{1, operationOnSession{"RevokeToken", func() error { return store.RevokeToken(ctx, string(newest.AccessToken)) }}},
				{1, operationOnSession{"Create, with a key", func() error {
					n++
					_, _, err := store.Create(ctx, sessionstore.CreateParams{Subject: "bob", IdempotencyKey: fmt.Sprint("create ", n)})
					return err
				}}},
				{3, operationOnSession{"Create, sent again", func() error {
					_, pair, err := store.Create(ctx, again)
					if err == nil && pair.RefreshToken != other.RefreshToken {
						err = errors.New("another pair")
					}
					return err
				}}},
				{test.replacing, operationOnSession{"Replace, for a step-up", func() error {
					n++
					next, _, err := store.Replace(ctx, sessionstore.Replaced{SessionID: guest.ID}, sessionstore.CreateParams{
						Subject: "dan", Authentication: authentication, Claims: roleOf("editor"), IdempotencyKey: fmt.Sprint("replace ", n),
					})
					guest = next
					return err
				}}},
			} {
				op.makesTrips(t, trips, op.trips)
			}
		})
	}
}
