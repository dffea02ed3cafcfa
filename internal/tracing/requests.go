package tracing

import (
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/latchkey-sessions/latchkey/httpapi"
)

// requests makes a span of each request. It is an [httpapi.Observer].
//
// The usual middleware, otelhttp, is not used: it records the path, the query and
// the user agent, where callers may put anything, even a token.
type requests struct{ tracer trace.Tracer }

// Requests traces the requests of a server.
//
// A traceparent (W3C Trace Context) is accepted on the internal listener, where
// the callers are the operator's own backends. On the public one it is not: a
// stranger would decide what is sampled, and put spans into other people's
// traces.
func (t *Tracing) Requests() httpapi.Observer { return requests{t.tracer} }

// Begin starts the span. Routes that monitoring calls constantly have none.
func (o requests) Begin(listener string, r *http.Request) *http.Request {
	ctx := r.Context()
	if listener == "internal" {
		switch r.URL.Path {
		case "/livez", "/readyz", "/metrics":
			return r
		}
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	ctx, _ = o.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("latchkey.listener", listener)))
	return r.WithContext(ctx)
}

// End names and ends the span: its name is known only now.
func (requests) End(r *http.Request, a httpapi.Answer) {
	span := trace.SpanFromContext(r.Context())
	if !span.IsRecording() {
		return
	}
	span.SetName(a.Method + " " + a.Route)
	span.SetAttributes(
		attribute.String("http.request.method", a.Method),
		attribute.String("http.route", a.Route),
		attribute.Int("http.response.status_code", a.Status),
	)
	if a.Problem != "" {
		span.SetAttributes(attribute.String("latchkey.problem", a.Problem))
	}
	if a.Status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, a.Problem)
	}
	span.End()
}
