// Package replay runs the very statements that an operation of the packages sends, without the packages: what is left
// then is what PostgreSQL and the driver take, the least that the operation can cost.
package replay

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"
)

// Statement is what was sent to the database.
type Statement struct {
	SQL  string
	Args []any
}

// Tracer keeps the statements of the calls that [Capture] makes. Others it does not notice.
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

// Capture returns the statements that a call sends. Its connections must have a [Tracer].
func Capture(ctx context.Context, call func(context.Context) error) ([]Statement, error) {
	c := &capture{}
	err := call(context.WithValue(ctx, captureKey{}, c))

	return c.statements, err
}
