package tracing

import (
	"context"
	"errors"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// database traces statements without PostgreSQL's error messages, which quote
// refused values.
type database struct{ *otelpgx.Tracer }

// Database traces those statements that belong to a span. It records their text,
// which has placeholders where the values were.
func (t *Tracing) Database() pgx.QueryTracer {
	return database{otelpgx.NewTracer(
		otelpgx.WithTracerProvider(t.provider),
		otelpgx.WithDisableConnectionDetailsInAttributes(), // one database, and the name of its user must not be shown
	)}
}

// TraceQueryEnd ends the span of a statement.
func (d database) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	data.Err = bare(data.Err)
	d.Tracer.TraceQueryEnd(ctx, conn, data)
}

// TraceBatchQuery is one statement of a batch.
func (d database) TraceBatchQuery(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchQueryData) {
	data.Err, data.Args = bare(data.Err), nil
	d.Tracer.TraceBatchQuery(ctx, conn, data)
}

// TraceBatchEnd ends the span of a batch.
func (d database) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	data.Err = bare(data.Err)
	d.Tracer.TraceBatchEnd(ctx, conn, data)
}

// TraceAcquireEnd ends the span of waiting for a connection.
func (d database) TraceAcquireEnd(ctx context.Context, pool *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	data.Err = bare(data.Err)
	d.Tracer.TraceAcquireEnd(ctx, pool, data)
}

// bare reduces an error of PostgreSQL to its code, and one that only says that the
// client hung up to nothing. Other errors are the network's or the driver's.
func bare(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return &pgconn.PgError{Severity: e.Severity, Code: e.Code, Message: "refused by PostgreSQL"}
	}
	return err
}
