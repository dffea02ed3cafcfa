package shards_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// hangUp ends the context that a statement is asked for with, just before it is sent.
type hangUp struct{ now context.CancelFunc }

func (h *hangUp) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	h.end()
	return ctx
}
func (*hangUp) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (h *hangUp) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	h.end()
	return ctx
}
func (*hangUp) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*hangUp) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

func (h *hangUp) end() {
	if h.now != nil {
		h.now()
	}
}

// A client that hangs up just before its statement is sent says nothing about a shard.
func TestACallerThatHangsUpBeforeItsStatement(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			tracer := &hangUp{}
			var pools []*pgxpool.Pool
			for _, pool := range three.pools(t) {
				cfg := pool.Config()
				cfg.ConnConfig.Tracer = tracer
				traced, err := pgxpool.NewWithConfig(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(traced.Close)
				pools = append(pools, traced)
			}
			k := setup(t, testkeys.Ring(t), config(), pools...)
			for i := range 10 {
				ctx, cancel := context.WithCancel(t.Context())
				tracer.now = cancel
				if _, _, err := k.Create(ctx, sessionstore.CreateParams{Subject: fmt.Sprintf("user-%d", i)}); err == nil {
					t.Error("a session was created")
				}
				cancel()
			}
			for _, shard := range k.Status() {
				if !shard.IsUp {
					t.Errorf("the shard %s is taken for down", shard.Name)
				}
			}
		})
	}
}

// A client that has hung up, or whose deadline has passed, proves nothing about a shard.
func TestACallerThatHasHungUp(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			k := three.setup(t, config())
			gone, hungUp := context.WithCancel(t.Context())
			hungUp()
			late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
			defer cancel()
			for what, ctx := range map[string]context.Context{"gone": gone, "late": late} {
				for i := range 10 {
					if _, _, err := k.Create(ctx, sessionstore.CreateParams{Subject: fmt.Sprintf("user-%d", i)}); err == nil {
						t.Errorf("%s: a session was created", what)
					}
				}
				for _, shard := range k.Status() {
					if !shard.IsUp {
						t.Errorf("%s: the shard %s is taken for down", what, shard.Name)
					}
				}
			}
		})
	}
}
