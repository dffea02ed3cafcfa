// Package isolation makes statements run as READ COMMITTED, which they rely on,
// whatever the database's default is: after waiting for a lock, a statement must see
// what was committed meanwhile.
package isolation

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Pool is a pool whose transactions set their level. A single statement does not,
// because that would cost another one: PostgreSQL refuses it (SQLSTATE 40001) if the
// default is another level and another transaction was faster, and then it is repeated,
// in a transaction that sets the level. The function that reads its rows may therefore
// be called twice.
type Pool struct{ *pgxpool.Pool }

var readCommitted = pgx.TxOptions{IsoLevel: pgx.ReadCommitted}

// Begin implements what [pgx.BeginFunc] requires.
func (p Pool) Begin(ctx context.Context) (pgx.Tx, error) { return p.BeginTx(ctx, readCommitted) }

// SendBatch is [pgxpool.Pool.SendBatch] for a batch that is one transaction. An error
// ends the connection, since the transaction is not over.
func (p Pool) SendBatch(ctx context.Context, statements *pgx.Batch) pgx.BatchResults {
	var all pgx.Batch
	all.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
	all.QueuedQueries = append(all.QueuedQueries, statements.QueuedQueries...)
	all.Queue("COMMIT")
	return p.Pool.SendBatch(ctx, &all)
}

// Exec is [pgxpool.Pool.Exec].
func (p Pool) Exec(ctx context.Context, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	tag, err = p.Pool.Exec(ctx, sql, args...)
	if lostRace(err) {
		err = pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
			tag, err = tx.Exec(ctx, sql, args...)
			return err
		})
	}
	return tag, err
}

// QueryRow is [pgxpool.Pool.QueryRow].
func (p Pool) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return &row{pool: p, ctx: ctx, sql: sql, args: args}
}

// Read is [pgxpool.Pool.Query], whose rows read reads and closes.
func (p Pool) Read(ctx context.Context, read func(pgx.Rows) error, sql string, args ...any) error {
	rows, _ := p.Query(ctx, sql, args...) // rows have its error
	err := read(rows)
	if !lostRace(err) {
		return err
	}
	return pgx.BeginFunc(ctx, p, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, sql, args...)
		return read(rows)
	})
}

// row sends its statement when it is scanned.
type row struct {
	pool Pool
	ctx  context.Context //nolint:containedctx // it is scanned at once
	sql  string
	args []any
}

func (r *row) Scan(dest ...any) error {
	err := r.pool.Pool.QueryRow(r.ctx, r.sql, r.args...).Scan(dest...)
	if !lostRace(err) {
		return err
	}
	return pgx.BeginFunc(r.ctx, r.pool, func(tx pgx.Tx) error {
		return tx.QueryRow(r.ctx, r.sql, r.args...).Scan(dest...)
	})
}

// lostRace reports whether PostgreSQL refused a statement only because of its level:
// serialization_failure.
func lostRace(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && answer.Code == "40001"
}
