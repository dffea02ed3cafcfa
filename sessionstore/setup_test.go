package sessionstore_test

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

type kit struct {
	*sessionstore.Store
	pool *pgxpool.Pool
	// queries counts the statements that were sent, confirmations the pairs
	// that were recorded as in use.
	queries, confirmations *atomic.Int64
	// unconfirmed counts the confirmations that failed.
	unconfirmed *atomic.Int64
	ring        *tokens.KeyRing
}

func config() sessionstore.Config {
	return sessionstore.Config{
		Tokens: tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com", ClientID: "app"},
	}
}

func setup(t *testing.T) kit { t.Helper(); return setupWith(t, config()) }

func setupWith(t *testing.T, cfg sessionstore.Config) kit {
	t.Helper()
	poolConfig, err := pgxpool.ParseConfig(testdb.NearURL(t))
	if err != nil {
		t.Fatal(err)
	}
	counter := &queryCounter{}
	poolConfig.ConnConfig.Tracer = counter
	poolConfig.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(t.Context(), poolConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	ring := newRing(t)
	return kit{Store: newStore(t, pool, ring, cfg), pool: pool, queries: &counter.n, confirmations: &counter.confirmations, unconfirmed: &counter.unconfirmed, ring: ring}
}

// setupFrozen is setup on a database whose clock stands still: how old something is depends on [kit.age] alone, and not on
// the machine.
func setupFrozen(t *testing.T) kit {
	t.Helper()
	pools, _ := testdb.Frozen(t, 1)
	ring := newRing(t)
	return kit{Store: newStore(t, pools[0], ring, config()), pool: pools[0], ring: ring}
}

func newRing(tb testing.TB) *tokens.KeyRing {
	tb.Helper()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		tb.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

func newStore(t *testing.T, pool *pgxpool.Pool, ring *tokens.KeyRing, cfg sessionstore.Config) *sessionstore.Store {
	t.Helper()
	store, err := sessionstore.New(pool, ring, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// queryCounter counts the statements of answers, and apart from them the rows
// that confirmations wrote.
type queryCounter struct{ n, confirmations, unconfirmed atomic.Int64 }

type isConfirmation struct{}

func (c *queryCounter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.HasPrefix(data.SQL, sessionstore.ConfirmQuery) {
		return context.WithValue(ctx, isConfirmation{}, true)
	}
	c.n.Add(1)
	return ctx
}

func (c *queryCounter) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if ctx.Value(isConfirmation{}) != nil {
		c.confirmations.Add(data.CommandTag.RowsAffected())
		if data.Err != nil {
			c.unconfirmed.Add(1)
		}
	}
}

// create makes a session of subject "user-1" unless the parameters say else.
func (k kit) create(t *testing.T, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair) {
	t.Helper()
	if params.Subject == "" {
		params.Subject = "user-1"
	}
	session, pair, err := k.Create(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	return session, pair
}

// refresh requires the given outcome and returns the pair.
func (k kit) refresh(t *testing.T, refreshToken tokens.Secret, want sessionstore.Outcome) sessionstore.TokenPair {
	t.Helper()
	got, err := k.RefreshTokens(t.Context(), string(refreshToken), sessionstore.Client{})
	if err != nil {
		t.Fatalf("refresh: %v, want %v", err, want)
	}
	if got.Outcome != want {
		t.Fatalf("refresh: %v, want %v", got.Outcome, want)
	}
	return got.Pair
}

// age makes a session look so much older than it is: the database's clock
// decides, and cannot be set.
func (k kit) age(t *testing.T, id uuid.UUID, by time.Duration) {
	t.Helper()
	k.exec(t, `UPDATE "sessionStore" SET "createdAt" = "createdAt" - $2::interval, "updatedAt" = "updatedAt" - $2::interval,
		"revokedAt" = "revokedAt" - $2::interval WHERE "id" = $1`, id, by)
	// Not the tokens' createdAt: it is the iat of JWTs that clients hold.
	k.exec(t, `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - $2::interval, "settledAt" = "settledAt" - $2::interval,
		"confirmedAt" = "confirmedAt" - $2::interval, "expiresAt" = "expiresAt" - $2::interval, "sessionExpiresAt" = "sessionExpiresAt" - $2::interval,
		"accessExpiresAt" = "accessExpiresAt" - $2::interval,
		"expiresOn" = (("expiresAt" - $2::interval) AT TIME ZONE 'UTC')::date,
		"revokedAt" = "revokedAt" - $2::interval WHERE "session" = $1`, id, by)
}

func (k kit) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := k.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func (k kit) count(t *testing.T, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := k.pool.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// expiredLongAgo is a rule of cleanup that nothing falls under.
var expiredLongAgo = cleanup.Rule{Kind: cleanup.Expired, After: 10_000 * time.Hour}

// removeSome removes up to limit of the rows that are due by a rule, and returns how many.
func removeSome(ctx context.Context, store *sessionstore.Store, rule cleanup.Rule, limit int) (cleanup.Removed, error) {
	due, err := store.FindDue(ctx, rule, limit)
	if err != nil {
		return cleanup.Removed{}, err
	}
	removed, err := store.RemoveDue(ctx, rule, due.IDs, time.Minute)
	removed.Took = 0
	return removed, err
}
