package jobs

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// Whatever the connections' default is, the queue's statements run at the level that they are written for, and are
// committed.
func TestPooledDriver(t *testing.T) {
	t.Parallel()
	cfg, err := pgxpool.ParseConfig(testdb.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ConnConfig.RuntimeParams["default_transaction_isolation"] = "serializable"
	cfg.MaxConns = 1 // each statement has to give its connection back
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	const level, note, notes = `current_setting('transaction_isolation')`, `INSERT INTO "levels" `, `SELECT string_agg("level", ', ') FROM "levels"`
	if _, err := pool.Exec(t.Context(), `CREATE TABLE "levels" ("level" text, "n" serial)`); err != nil {
		t.Fatal(err)
	}
	s := statements{isolation.Pool{Pool: pool}}

	executor := pooledDriver{riverpgxv5.New(pool), s.Pool}.GetExecutor()
	if err := executor.Exec(t.Context(), note+`SELECT `+level); err != nil {
		t.Error(err)
	}
	var got string
	if err := executor.QueryRow(t.Context(), note+`SELECT `+level+` RETURNING "level"`).Scan(&got); err != nil || got != "read committed" {
		t.Errorf("a row is read at %q, %v", got, err)
	}
	rows, err := s.Query(t.Context(), note+`SELECT `+level+` FROM generate_series(1, 2) RETURNING "level"`)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(all) != 2 || all[1] != "read committed" {
		t.Errorf("rows are read at %q, %v", all, err)
	}
	tx, err := executor.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tx.Exec(t.Context(), note+`SELECT `+level), tx.Commit(t.Context())); err != nil {
		t.Error(err)
	}
	if err := pool.QueryRow(t.Context(), notes).Scan(&got); err != nil || got != "read committed, read committed, read committed, read committed, read committed" {
		t.Errorf("what is committed was written at %q, %v", got, err)
	}
}

func TestPooledDriverFails(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), testdb.URL(t)+"&pool_max_conns=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s := statements{isolation.Pool{Pool: pool}}
	const fails = `SELECT 1 / (n - 2) FROM generate_series(1, 3) n`
	for range 3 { // no connection is lost
		var n int
		if err := s.QueryRow(t.Context(), `SELECT 1 WHERE false`).Scan(&n); !errors.Is(err, pgx.ErrNoRows) {
			t.Errorf("no row: %v", err)
		}
		if err := s.QueryRow(t.Context(), `SELECT 1 / 0`).Scan(&n); err == nil || errors.Is(err, pgx.ErrNoRows) {
			t.Errorf("a row that fails: %v", err)
		}
		if err := s.QueryRow(t.Context(), `SELECT nothing`).Scan(&n); err == nil {
			t.Error("a statement that fails does not")
		}
		if _, err := s.Exec(t.Context(), fails); err == nil {
			t.Error("what fails half way does not")
		}
		rows, err := s.Query(t.Context(), fails)
		if err == nil {
			_, err = pgx.CollectRows(rows, pgx.RowTo[int])
		}
		if err == nil {
			t.Error("rows that fail half way do not")
		}
	}
	pool.Close()
	if _, err := s.Query(t.Context(), `SELECT 1`); err == nil {
		t.Error("a pool that is closed has connections")
	}
}
