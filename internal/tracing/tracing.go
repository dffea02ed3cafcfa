// Package tracing sends traces with OpenTelemetry: one span for each request, one
// for each operation on sessions below it, and one for each statement below that.
//
// It promises that no span has a token, a key or a session's data: attributes are
// our own words and numbers, and statements without their values. Without a
// request for traces it does nothing: see [Wanted].
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	scope       = "github.com/latchkey-sessions/latchkey"
	serviceName = "latchkey"

	stopTimeout = 5 * time.Second
)

// Wanted reports whether the environment requests traces, by the variables that
// OpenTelemetry has for every program. lookup is [os.LookupEnv] or stands in for
// it; an empty variable counts as not set.
func Wanted(lookup func(string) (string, bool)) (bool, error) {
	set := func(name string) string {
		value, _ := lookup(name)
		return value
	}
	if set("OTEL_SDK_DISABLED") == "true" {
		return false, nil
	}
	switch exporter := set("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return false, nil
	case "otlp":
	case "":
		if set("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
			return false, nil
		}
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER is %q; it must be otlp or none", exporter)
	}
	_, err := protocol(lookup)
	return true, err
}

const (
	overHTTP = "http/protobuf"
	overGRPC = "grpc"
)

// protocol is the protocol for sending spans. The exporters leave the choice to us.
func protocol(lookup func(string) (string, bool)) (string, error) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		switch value, _ := lookup(name); value {
		case "":
		case overHTTP, overGRPC:
			return value, nil
		default:
			return "", fmt.Errorf("%s is %q; it must be http/protobuf or grpc", name, value)
		}
	}
	return overHTTP, nil
}

// Tracing makes spans and sends them.
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// Start begins to trace as the environment says: where to send spans, how many
// of them, as whose. An unreachable collector blocks nothing. Call it only if traces
// are [Wanted]. The logger records failures.
func Start(ctx context.Context, lookup func(string) (string, bool), version string, log *slog.Logger) (*Tracing, error) {
	how, err := protocol(lookup)
	if err != nil {
		return nil, err
	}
	client := otlptracehttp.NewClient()
	if how == overGRPC {
		client = otlptracegrpc.NewClient()
	}
	exporter, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, errors.New("traces cannot be sent: look at the OTEL_ variables") // the cause may reveal one of the configured headers
	}
	from, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", serviceName), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv(), // the later wins
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	// This is the only way to get at errors in sending; by default they bypass the log.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.WarnContext(ctx, "traces could not be sent", "error", err)
	}))
	return New(sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(from))), nil
}

// New traces with a provider, which it stops at the end.
func New(provider *sdk.TracerProvider) *Tracing {
	return &Tracing{provider: provider, tracer: provider.Tracer(scope)}
}

// Run waits for the end of ctx, and then sends the remaining spans. It returns nil.
func (t *Tracing) Run(ctx context.Context) error {
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
	return nil
}
