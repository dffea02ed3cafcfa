// Package primary makes a program use only the server of a PostgreSQL cluster that
// accepts writes. A standby answers too, but with past data: it may still have a
// revoked session as live, and nothing in its answer says so.
package primary

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Only is a condition for statements that read: on the primary it is true and costs
// next to nothing, and on a standby the statement fails, even if it has no rows to
// return. The second function, which fails on a standby, is called only there.
const Only = `(SELECT CASE WHEN pg_is_in_recovery() THEN pg_current_xact_id() END) IS NULL`

// ErrReadOnly says that a server accepts no writes: it is a standby, or
// default_transaction_read_only is on.
var ErrReadOnly = pgconn.ErrReadOnlyConnection

// Require makes connections with these settings lead to a server that accepts writes:
// a standby is refused as soon as it is connected to, and of several addresses that
// of the primary is found. A connection ends when its server refuses a write.
func Require(cfg *pgx.ConnConfig) {
	stays := cfg.OnPgError
	cfg.OnPgError = func(conn *pgconn.PgConn, answer *pgconn.PgError) bool {
		return answer.Code != readOnlyTransaction && (stays == nil || stays(conn, answer))
	}
	cfg.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		err := pgconn.ValidateConnectTargetSessionAttrsReadWrite(ctx, conn)
		if errors.Is(err, ErrReadOnly) {
			_, _ = conn.Exec(ctx, leaveQuery).ReadAll() // whatever the result, the connection is not used
		}
		return err
	}
}

// isReadOnly recognizes a server that was set to accept no writes, such as one from
// which a program is being moved.
const isReadOnly = `current_setting('default_transaction_read_only')::boolean`

// leaveQuery ends a connection that a pooler keeps to a server that accepts no writes,
// so that the pooler makes a new one. It only ends its own.
const leaveQuery = `SELECT pg_terminate_backend(pg_backend_pid()) WHERE pg_is_in_recovery() OR ` + isReadOnly

// ReadOnlyQuery asks whether a server accepts no writes. A connection that never writes must
// ask: nothing else shows that another server has taken over while the former one continues.
const ReadOnlyQuery = `SELECT pg_is_in_recovery() OR ` + isReadOnly

// CheckWrites reads the answer to [ReadOnlyQuery]: it is [ErrReadOnly], or nil.
func CheckWrites(row pgx.Row) error {
	var readOnly bool
	if err := row.Scan(&readOnly); err != nil {
		return err
	}
	if readOnly {
		return ErrReadOnly
	}
	return nil
}

// readOnlyTransaction is the SQLSTATE with which a standby refuses what only the
// primary may do, and a primary refuses a write if default_transaction_read_only
// is on.
const readOnlyTransaction = "25006"

// Refused reports whether an error says that the server accepts no writes.
func Refused(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && answer.Code == readOnlyTransaction || errors.Is(err, ErrReadOnly)
}

const (
	// leaveRest is the minimum time between two occasions on which connections are
	// given up, because each costs a new one: the address may lead to the standby for
	// a while.
	leaveRest    = 50 * time.Millisecond
	leaveTimeout = time.Second
)

// Watch gives up connections to a server that is no longer the primary, for pools
// that are not made with [Require], and for poolers, behind which a client cannot
// see the server. The zero value is ready.
type Watch struct{ left atomic.Int64 }

// See must get every error of the pool's statements. If one says that the server
// accepts no writes, all connections are given up: new ones lead to where the
// address leads now.
func (w *Watch) See(ctx context.Context, pool *pgxpool.Pool, err error) {
	if err == nil || !Refused(err) {
		return
	}
	last, now := w.left.Load(), time.Now().UnixNano()
	if now-last < int64(leaveRest) || !w.left.CompareAndSwap(last, now) {
		return
	}
	pool.Reset()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	_, _ = pool.Exec(ctx, leaveQuery) // it fails when it ends a connection
}
