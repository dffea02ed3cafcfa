package replay_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/bench/internal/replay"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

func connect(t *testing.T) *pgx.Conn {
	t.Helper()

	config, err := pgx.ParseConfig(testdb.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	config.Tracer = replay.Tracer{}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	t.Cleanup(func() { _ = conn.Close(ctx) })

	return conn
}

func TestReplayRunsWhatWasCaptured(t *testing.T) {
	t.Parallel()

	ctx, conn := t.Context(), connect(t)
	if _, err := conn.Exec(ctx, `CREATE TABLE t (id uuid, n bigint, label text, data jsonb, at timestamptz)`); err != nil {
		t.Fatal(err)
	}
	first, label := uuid.New(), "first"
	const insert = `INSERT INTO t VALUES ($1, $2, $3, $4, now()) RETURNING id, n, label, data, at, n > 5, NULL::text`
	statements, err := replay.Capture(ctx, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, insert, first, int64(7), &label, []byte(`{"a":1}`))
		return err
	})
	if err != nil || len(statements) != 1 || statements[0].SQL != insert {
		t.Fatalf("captured %v (%v)", statements, err)
	}
	if diff := cmp.Diff([]any{first}, statements[0].IDs()); diff != "" {
		t.Error(diff)
	}

	again, err := replay.New(statements[0], first, int64(7), "first", `{"a":1}`)
	if err != nil {
		t.Fatal(err)
	}
	caller, err := again.On(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	second := uuid.New()
	if err := caller.Call(ctx, second, int64(8), "second", `{"a":2}`); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := conn.QueryRow(ctx, `SELECT n || label || (data->>'a') FROM t WHERE id = $1`, second).Scan(&got); err != nil || got != "8second2" {
		t.Errorf("the row is %q (%v)", got, err)
	}
	if err := caller.Call(ctx, second); err == nil {
		t.Error("it ran with too few values")
	}
}

func TestOtherStatementsAreNotCaptured(t *testing.T) {
	t.Parallel()

	ctx, conn := t.Context(), connect(t)
	others := func() error {
		_, err := conn.Exec(ctx, `SELECT 1`)
		return err
	}
	statements, err := replay.Capture(ctx, func(context.Context) error { return others() })
	if err != nil || len(statements) != 0 {
		t.Errorf("captured %v (%v)", statements, err)
	}
}

func TestAReplayThatFindsNothingFails(t *testing.T) {
	t.Parallel()

	ctx, conn := t.Context(), connect(t)
	for _, sql := range []string{
		`SELECT 1 WHERE $1::bigint = 1`,
		`UPDATE pg_class SET relname = relname WHERE oid = 0 AND $1::bigint = 1`,
	} {
		r, err := replay.New(replay.Statement{SQL: sql, Args: []any{int64(1)}}, int64(1))
		if err != nil {
			t.Fatal(err)
		}
		caller, err := r.On(ctx, conn)
		if err != nil {
			t.Fatal(err)
		}
		if err := caller.Call(ctx, int64(2)); !errors.Is(err, replay.ErrNoRow) {
			t.Errorf("%s: got %v", sql, err)
		}
	}
}

func TestIDsAreFoundInEveryForm(t *testing.T) {
	t.Parallel()

	id := uuid.New()
	for _, arg := range []any{id, [16]byte(id), pgtype.UUID{Bytes: id, Valid: true}} {
		statement := replay.Statement{SQL: "SELECT $1", Args: []any{arg}}
		if diff := cmp.Diff([]any{id}, statement.IDs()); diff != "" {
			t.Errorf("%T: %s", arg, diff)
		}
		if _, err := replay.New(statement, id); err != nil {
			t.Errorf("%T: %v", arg, err)
		}
	}
	if ids := (replay.Statement{Args: []any{id.String(), pgtype.UUID{}, nil, (*uuid.UUID)(nil), []byte("x")}}).IDs(); len(ids) > 0 {
		t.Errorf("these are no ids: %v", ids)
	}
}

func TestAValueHasToBeAmongTheArguments(t *testing.T) {
	t.Parallel()

	if _, err := replay.New(replay.Statement{SQL: "SELECT $1", Args: []any{int64(1), nil, (*string)(nil)}}, int64(2)); err == nil {
		t.Error("a value that is not there passed")
	}
}
