package replay_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/replay"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

func TestReplayRunsWhatWasCaptured(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	config, err := pgx.ParseConfig(testdb.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	config.Tracer = replay.Tracer{}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, `CREATE TABLE t (id uuid, n bigint, label text, data jsonb, at timestamptz)`); err != nil {
		t.Fatal(err)
	}
	const insert = `INSERT INTO t VALUES ($1, $2, $3, $4, now()) RETURNING id, n, label, data, at, n > 5, NULL::text`
	captured := replay.Capture(ctx, func(own context.Context) {
		must.Get(conn.Exec(ctx, `SELECT 1`)) // another program's
		must.Get(conn.Exec(own, insert, uuid.New(), int64(7), "first", []byte(`{"a":1}`)))
	}, 1, 3)
	if captured.SQL != insert {
		t.Fatalf("captured %v", captured)
	}
	caller := captured.On(ctx, conn)
	second := uuid.New()
	if err := caller.Call(ctx, second, "second"); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := conn.QueryRow(ctx, `SELECT n || label || (data->>'a') FROM t WHERE id = $1`, second).Scan(&got); err != nil || got != "7second1" {
		t.Errorf("the row is %q (%v)", got, err)
	}
	if err := caller.Call(ctx, second); err == nil {
		t.Error("it ran with too few values")
	}
	if err := must.Run(func() { replay.Capture(ctx, func(context.Context) {}, 1) }); err == nil {
		t.Error("a call without a statement passed")
	}

	for _, sql := range []string{`SELECT 1 WHERE $1::bigint = 1`, `UPDATE t SET n = 1 WHERE n = $1`} {
		caller := replay.Statement{SQL: sql, Args: []any{nil}, Own: []int{1}}.On(ctx, conn)
		if err := caller.Call(ctx, int64(2)); !errors.Is(err, pgx.ErrNoRows) {
			t.Errorf("%s: got %v", sql, err)
		}
	}
}
