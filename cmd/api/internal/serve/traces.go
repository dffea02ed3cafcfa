package serve

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/tracing"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// traces is the tracing that the OTEL_ variables request, or nothing: then nothing is traced,
// at no cost.
type traces struct{ *tracing.Tracing }

func startTraces(ctx context.Context, environment *settings.Environment, version string, log *slog.Logger) (traces, error) {
	wanted, err := tracing.Wanted(environment.Lookup)
	if err != nil {
		return traces{}, settings.WrongTogether(err.Error())
	}
	if !wanted {
		return traces{}, nil
	}
	t, err := tracing.Start(ctx, environment.Lookup, version, log)
	return traces{t}, err
}

// logger adds to each line the trace that it belongs to.
func (t traces) logger(log *slog.Logger) *slog.Logger {
	if t.Tracing == nil {
		return log
	}
	return slog.New(tracing.LogHandler(log.Handler()))
}

func (t traces) database() pgx.QueryTracer {
	if t.Tracing == nil {
		return nil
	}
	return t.Database()
}

func (t traces) requests(others ...httpapi.Observer) []httpapi.Observer {
	if t.Tracing == nil {
		return others
	}
	return append(others, t.Requests())
}

func (t traces) sessions(others ...sessionstore.Observer) []sessionstore.Observer {
	if t.Tracing == nil {
		return others
	}
	return append(others, t.Sessions())
}

// origin adds the trace to what is known about the actor.
func (t traces) origin(of func(context.Context) audit.Origin) func(context.Context) audit.Origin {
	if t.Tracing == nil {
		return of
	}
	return func(ctx context.Context) audit.Origin {
		o := of(ctx)
		o.TraceID = tracing.TraceID(ctx)
		return o
	}
}

func (t traces) run(ctx context.Context) error {
	if t.Tracing == nil {
		return nil
	}
	return t.Run(ctx)
}
