// Package replay runs the very statements that an operation of the packages sends, without the packages: what is left
// then is what PostgreSQL and the driver take, the least that the operation can cost.
package replay

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
)

// Statement is what was sent to the database.
type Statement struct {
	SQL  string
	Args []any
	// Own are the numbers of the arguments, from 1 on, that each call brings its own of. The others stay.
	Own []int
	// Before and After go with it in one batch. They have no arguments.
	Before, After []Statement
}

// Tracer keeps the statement of the call that [Capture] makes. Others it does not notice.
type Tracer struct{}

type captureKey struct{}

type capture struct {
	mu         sync.Mutex
	statements []Statement
}

// TraceQueryStart implements [pgx.QueryTracer].
func (Tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if c, ok := ctx.Value(captureKey{}).(*capture); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.statements = append(c.statements, Statement{SQL: data.SQL, Args: data.Args})
	}
	return ctx
}

// TraceBatchStart implements [pgx.BatchTracer].
func (Tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery implements [pgx.BatchTracer].
func (t Tracer) TraceBatchQuery(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchQueryData) {
	t.TraceQueryStart(ctx, conn, pgx.TraceQueryStartData{SQL: data.SQL, Args: data.Args})
}

// TraceBatchEnd implements [pgx.BatchTracer].
func (Tracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TraceQueryEnd implements [pgx.QueryTracer].
func (Tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Capture returns the one statement with arguments that a call sends, of which later calls bring their own of those with
// these numbers, and what goes with it. Its connections must have a [Tracer].
func Capture(ctx context.Context, call func(context.Context), own ...int) Statement {
	c := &capture{}
	call(context.WithValue(ctx, captureKey{}, c))
	withArgs := func(s Statement) bool { return len(s.Args) > 0 }
	at := slices.IndexFunc(c.statements, withArgs)
	must.Hold(at >= 0 && !slices.ContainsFunc(c.statements[at+1:], withArgs),
		"of %d statements one has to have arguments: the bare loop knows only one", len(c.statements))
	s := c.statements[at]
	s.Own, s.Before, s.After = own, c.statements[:at], c.statements[at+1:]
	must.Hold(slices.Max(own) <= len(s.Args), "there is no argument %d of %s", slices.Max(own), s.SQL)
	return s
}

// Caller runs a statement on its own connection. It is for one goroutine.
type Caller struct {
	statement Statement
	conn      *pgx.Conn
	args      []any
	dest      []any // nil for a statement that returns nothing
}

// On prepares the statement on a connection.
func (s Statement) On(ctx context.Context, conn *pgx.Conn) *Caller {
	description := must.Get(conn.Prepare(ctx, s.SQL, s.SQL))
	c := &Caller{statement: s, conn: conn, args: slices.Clone(s.Args)}
	for _, field := range description.Fields {
		// Of the types that the packages scan into; null is possible in each column.
		destination := map[uint32]any{
			pgtype.UUIDOID: new(*uuid.UUID), pgtype.TextOID: new(*string), pgtype.VarcharOID: new(*string), pgtype.TimestamptzOID: new(*time.Time),
			pgtype.Int8OID: new(*int64), pgtype.Int4OID: new(*int64), pgtype.Int2OID: new(*int64),
			pgtype.BoolOID: new(*bool), pgtype.JSONBOID: new([]byte),
		}[field.DataTypeOID]
		must.Hold(destination != nil, "column %s has a type (%d) that is not known here", field.Name, field.DataTypeOID)
		c.dest = append(c.dest, destination)
	}
	return c
}

// Call runs the statement with these values in place of its own arguments, and reads its row. The error is
// [pgx.ErrNoRows] if it neither returned nor changed one.
func (c *Caller) Call(ctx context.Context, values ...any) error {
	if len(values) != len(c.statement.Own) {
		return fmt.Errorf("%d values were given, and %d are wanted", len(values), len(c.statement.Own))
	}
	for i, number := range c.statement.Own {
		c.args[number-1] = values[i]
		if id, ok := values[i].(uuid.UUID); ok { // the form that the driver takes unchanged
			c.args[number-1] = pgtype.UUID{Bytes: id, Valid: true}
		}
	}
	if c.dest == nil {
		tag, err := c.conn.Exec(ctx, c.statement.SQL, c.args...)
		if err == nil && tag.RowsAffected() != 1 {
			err = pgx.ErrNoRows
		}
		return err
	}
	row := func(row pgx.Row) error { return row.Scan(c.dest...) }
	if len(c.statement.Before)+len(c.statement.After) == 0 {
		return row(c.conn.QueryRow(ctx, c.statement.SQL, c.args...))
	}
	batch := &pgx.Batch{}
	for _, other := range c.statement.Before {
		batch.Queue(other.SQL)
	}
	batch.Queue(c.statement.SQL, c.args...).QueryRow(row)
	for _, other := range c.statement.After {
		batch.Queue(other.SQL)
	}
	return c.conn.SendBatch(ctx, batch).Close()
}

// Text returns the statement with expressions in place of its arguments, for a tool that knows none.
func (s Statement) Text(expressions ...string) string {
	for i, expression := range slices.Backward(expressions) { // from the last one, as $1 is the beginning of $10
		s.SQL = strings.ReplaceAll(s.SQL, "$"+strconv.Itoa(i+1), expression)
	}
	return s.SQL
}
