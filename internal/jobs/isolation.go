package jobs

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
)

// pooledDriver is the queue's driver behind a pooler, where connections cannot be given an isolation level. The queue's
// statements are written for READ COMMITTED, but do not set it: at another level PostgreSQL refuses those of replicas
// that conflict. Here each runs in a transaction that sets it.
type pooledDriver struct {
	*riverpgxv5.Driver
	db isolation.Pool
}

// GetExecutor implements [riverdriver.Driver].
func (d pooledDriver) GetExecutor() riverdriver.Executor { return d.UnwrapExecutor(statements{d.db}) }

// statements is a pool in the form of a transaction, which the driver's executor can be put on. Each statement is a
// separate transaction, and a transaction begun on it is a real one.
type statements struct{ isolation.Pool }

// Exec implements [pgx.Tx].
func (s statements) Exec(ctx context.Context, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		tag, err = tx.Exec(ctx, sql, args...)
		return err
	})
	return tag, err
}

// Query implements [pgx.Tx]. The transaction ends with the rows.
func (s statements) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	tx, err := s.Begin(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, errors.Join(err, tx.Rollback(ctx))
	}
	return &statementRows{Rows: rows, ctx: ctx, tx: tx}, nil
}

// QueryRow implements [pgx.Tx].
func (s statements) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return statementRow{s, ctx, sql, args}
}

// SendBatch implements [pgx.Tx]. The queue sends none.
func (s statements) SendBatch(context.Context, *pgx.Batch) pgx.BatchResults {
	panic("jobs: a batch has no isolation level")
}

var errNoTransaction = errors.New("jobs: there is no transaction")

// Commit implements [pgx.Tx].
func (statements) Commit(context.Context) error { return errNoTransaction }

// Rollback implements [pgx.Tx].
func (statements) Rollback(context.Context) error { return errNoTransaction }

// LargeObjects implements [pgx.Tx].
func (statements) LargeObjects() pgx.LargeObjects { return pgx.LargeObjects{} }

// Prepare implements [pgx.Tx].
func (statements) Prepare(context.Context, string, string) (*pgconn.StatementDescription, error) {
	return nil, errNoTransaction
}

// Conn implements [pgx.Tx].
func (statements) Conn() *pgx.Conn { return nil }

// statementRows are the rows of a transaction's only statement.
type statementRows struct {
	pgx.Rows
	ctx context.Context //nolint:containedctx // the rows are read at once
	tx  pgx.Tx          // nil once it is over
	err error           // why it is not committed
}

// Next implements [pgx.Rows].
func (r *statementRows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Close implements [pgx.Rows].
func (r *statementRows) Close() {
	r.Rows.Close()
	if r.tx == nil {
		return
	}
	if r.Rows.Err() == nil {
		r.err = r.tx.Commit(r.ctx)
	} else {
		_ = r.tx.Rollback(context.WithoutCancel(r.ctx)) // the rows have the error that matters
	}
	r.tx = nil
}

// Err implements [pgx.Rows].
func (r *statementRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.err
}

// statementRow is the first of a statement's rows. It sends the statement when it is scanned.
type statementRow struct {
	statements
	ctx  context.Context //nolint:containedctx // it is scanned at once
	sql  string
	args []any
}

// Scan implements [pgx.Row].
func (r statementRow) Scan(dest ...any) error {
	return pgx.BeginFunc(r.ctx, r.Pool, func(tx pgx.Tx) error { return tx.QueryRow(r.ctx, r.sql, r.args...).Scan(dest...) })
}
