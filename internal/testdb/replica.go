package testdb

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Replicated is a primary and a standby that follows it by PostgreSQL's streaming replication, asynchronously: no
// commit waits for the standby, so a failover loses those that it has not received. Both servers belong to the test
// alone. A failure of a method fails the test.
type Replicated struct {
	// Primary takes the writes. A failover begins with its Kill.
	Primary *Server
	// Standby can only be read until it is promoted.
	Standby *Server

	tb testing.TB
}

// pollPause is how long await waits between two queries.
const pollPause = 20 * time.Millisecond

// letStandbyIn completes the access rules of PostgreSQL's image, which admit no replication from another address. A
// server runs programs in its data folder.
const letStandbyIn = `COPY (SELECT 'host replication all all scram-sha-256') TO PROGRAM 'cat >> pg_hba.conf'`

// NewReplicated starts a pair of servers with the schema in one database. They are removed when the test ends.
func NewReplicated(tb testing.TB) *Replicated {
	tb.Helper()

	return NewReplicatedBy(tb, nil)
}

// NewReplicatedBy is [NewReplicated] with servers that use the given clock; nil is the
// machine's.
func NewReplicatedBy(tb testing.TB, clock *Clock) *Replicated {
	tb.Helper()

	r := &Replicated{tb: tb, Primary: NewServerBy(tb, clock)}
	r.exec(r.Primary, letStandbyIn)

	// The standby begins as a copy of a database that is shut down: pg_basebackup, which copies one that runs, is not
	// among the programs that are downloaded.
	ctx, cancel := context.WithTimeout(tb.Context(), startPatience)
	defer cancel()
	if err := r.Primary.server.Stop(ctx); err != nil {
		tb.Fatalf("testdb: stop the primary: %v", err)
	}
	standby, err := r.Primary.server.Standby(ctx)
	if err != nil {
		tb.Fatalf("testdb: start a standby: %v", err)
	}
	r.Standby = &Server{tb: tb, server: standby}
	removeAfter(tb, standby)
	if err := r.Primary.server.Start(ctx); err != nil {
		tb.Fatalf("testdb: start the primary again: %v", err)
	}

	// Without a slot, a primary that was killed may, when it is back, have removed what the standby has not
	// received.
	r.exec(r.Primary, `SELECT pg_create_physical_replication_slot('`+standbySlot+`', true)`)
	r.CatchUp()

	return r
}

// CatchUp waits until the standby has everything that was committed on the primary, wherever that is now.
func (r *Replicated) CatchUp() {
	r.tb.Helper()

	ctx, cancel := context.WithTimeout(r.tb.Context(), endPatience)
	defer cancel()
	primary, err := r.Primary.server.PeerURL(ctx)
	if err != nil {
		r.tb.Fatalf("testdb: the primary's address: %v", err)
	}
	r.follow(primary) // does nothing if it already does

	var committed string
	r.query(r.Primary, &committed, `SELECT pg_current_wal_lsn()::text`)
	r.await("the standby to catch up", `SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)`, committed)
}

// Freeze ends the replication: when it has returned, the standby receives nothing more. The primary continues.
func (r *Replicated) Freeze() {
	r.tb.Helper()

	r.follow("")
	r.await("the replication to end", `SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)`)
}

// Promote makes the standby a primary, with what it has received.
func (r *Replicated) Promote() {
	r.tb.Helper()

	r.exec(r.Standby, `SELECT pg_promote(wait => false)`)
	r.await("the promotion", `SELECT NOT pg_is_in_recovery()`)
}

// follow sets the server that the standby replicates; "" is none.
func (r *Replicated) follow(primary string) {
	r.tb.Helper()

	r.exec(r.Standby, `ALTER SYSTEM SET primary_conninfo = '`+strings.ReplaceAll(primary, "'", "''")+`'`)
	r.exec(r.Standby, `SELECT pg_reload_conf()`)
}

// await queries the standby until the answer is true.
func (r *Replicated) await(what, question string, args ...any) {
	r.tb.Helper()

	for deadline := time.Now().Add(endPatience); ; time.Sleep(pollPause) {
		var yes bool
		r.query(r.Standby, &yes, question, args...)
		if yes {
			return
		}
		if time.Now().After(deadline) {
			r.tb.Fatalf("testdb: timed out waiting for %s", what)
		}
	}
}

func (r *Replicated) exec(s *Server, statement string) {
	r.tb.Helper()
	r.with(s, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, statement)
		return err
	})
}

func (r *Replicated) query(s *Server, answer any, question string, args ...any) {
	r.tb.Helper()
	r.with(s, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, question, args...).Scan(answer)
	})
}

// with lends a connection for one step: the next one may end its server.
func (r *Replicated) with(s *Server, use func(context.Context, *pgx.Conn) error) {
	r.tb.Helper()

	ctx, cancel := context.WithTimeout(r.tb.Context(), endPatience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	if err == nil {
		err = errors.Join(use(ctx, conn), conn.Close(ctx))
	}
	if err != nil {
		r.tb.Fatalf("testdb: %v", err)
	}
}
