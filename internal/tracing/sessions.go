package tracing

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// sessions makes a span of each operation of a store. It is a [sessionstore.Observer].
type sessions struct{ tracer trace.Tracer }

// Sessions traces what a store does.
func (t *Tracing) Sessions() sessionstore.Observer { return sessions{t.tracer} }

// Begin starts the span.
func (o sessions) Begin(ctx context.Context, operation sessionstore.Operation) context.Context {
	ctx, _ = o.tracer.Start(ctx, "session "+string(operation))
	return ctx
}

// End ends it. Refusing a token or a session is not an error of ours, nor is a client
// that hung up.
func (sessions) End(ctx context.Context, r sessionstore.Result) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	switch theft, stolen := errors.AsType[*sessionstore.ReuseError](r.Err); {
	case stolen:
		span.SetAttributes(attribute.String("latchkey.outcome", sessionstore.Stolen.String()),
			attribute.String("latchkey.theft", string(theft.Theft)))
	case r.Err == nil && r.Operation == sessionstore.OperationRefresh:
		span.SetAttributes(attribute.String("latchkey.outcome", r.Outcome.String()))
	case errors.Is(r.Err, sessionstore.ErrUnavailable) && !errors.Is(r.Err, context.Canceled):
		span.SetStatus(codes.Error, sessionstore.ErrUnavailable.Error())
	}
	span.End()
}
