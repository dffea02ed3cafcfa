package shards_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// patience is for what has to come about, however busy the machine is.
const patience = 2 * time.Minute

// kit is a router on shards, and what it consists of.
type kit struct {
	*shards.Router

	pools  []*pgxpool.Pool
	stores []*sessionstore.Store
	cfg    shards.Config
	ring   *tokens.KeyRing
}

func config() sessionstore.Config {
	return sessionstore.Config{Tokens: tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com", ClientID: "app"}}
}

// setup registers all databases but the first as shards of it, each with the weight 1. Nothing runs.
func setup(tb testing.TB, ring *tokens.KeyRing, cfg sessionstore.Config, pools ...*pgxpool.Pool) *kit {
	tb.Helper()
	k := &kit{pools: pools, ring: ring, cfg: shards.Config{
		Logger: slog.New(slog.NewTextHandler(tb.Output(), nil)), SessionsPerSubject: cfg.SessionsPerSubject, SessionsPerSubjectAction: cfg.SessionsPerSubjectAction,
	}}
	for i, pool := range pools {
		beside, err := pgxpool.NewWithConfig(tb.Context(), pool.Config())
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(beside.Close)
		shard := shards.Shard{Name: shards.FirstName, Weight: 1, Pool: beside, Check: func(context.Context) error { return nil }}
		if i > 0 {
			shard.Name = fmt.Sprintf("s%d", i)
			entry, _, err := shards.Register(tb.Context(), pools[0], pool, shard.Name)
			if err != nil {
				tb.Fatal(err)
			}
			shard.Number = entry.Number
			shard.Check = func(ctx context.Context) error { return check(ctx, pool, entry) }
		}
		cfg.Shard = shard.Number
		if shard.Store, err = sessionstore.New(pool, ring, cfg); err != nil {
			tb.Fatal(err)
		}
		k.stores, k.cfg.Shards = append(k.stores, shard.Store), append(k.cfg.Shards, shard)
	}
	k.restart(tb)
	return k
}

// check looks at a connection of a pool.
func check(ctx context.Context, pool *pgxpool.Pool, want shards.Entry) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return shards.Check(ctx, conn.Conn(), want)
}

// restart makes the router again, with the current cfg.
func (k *kit) restart(tb testing.TB) {
	tb.Helper()
	router, err := shards.New(k.cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if err := router.Check(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	k.Router = router
}

// run runs the router until stop is called, or the test ends.
func (k *kit) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	router := k.Router
	go func() {
		defer close(done)
		if err := router.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// weigh gives the shards these weights, in their order.
func (k *kit) weigh(t *testing.T, weights ...float64) {
	t.Helper()
	for i, w := range weights {
		k.cfg.Shards[i].Weight = w
	}
	k.restart(t)
}

func (k *kit) create(t *testing.T, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair) {
	t.Helper()
	session, pair, err := k.Create(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	return session, pair
}

// layout is a way in which three shards lie on one server.
type layout struct {
	name  string
	pools func(tb testing.TB) []*pgxpool.Pool
	// frozen are those whose clocks stand still until a test sets them.
	frozen func(tb testing.TB) ([]*pgxpool.Pool, func(time.Duration))
}

var layouts = withCitus([]layout{
	{
		"databases",
		func(tb testing.TB) []*pgxpool.Pool {
			tb.Helper()
			return []*pgxpool.Pool{testdb.Pool(tb), testdb.Pool(tb), testdb.Pool(tb)}
		},
		func(tb testing.TB) ([]*pgxpool.Pool, func(time.Duration)) {
			tb.Helper()
			return testdb.Frozen(tb, 3)
		},
	},
	{"schemas", testdb.Schemas, testdb.FrozenSchemas},
})

// withCitus adds the distributed schemas of a Citus cluster, where tests have one.
func withCitus(all []layout) []layout {
	if !testdb.HasCitus() {
		return all
	}
	return append(all, layout{
		name: "Citus",
		pools: func(tb testing.TB) []*pgxpool.Pool {
			tb.Helper()
			return testdb.Citus(tb, 3)
		},
	})
}

func (l layout) setup(t *testing.T, cfg sessionstore.Config) *kit {
	t.Helper()
	return setup(t, testkeys.Ring(t), cfg, l.pools(t)...)
}

// await waits until something is true.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%s: it has not come about in %v", what, patience)
		}
	}
}
