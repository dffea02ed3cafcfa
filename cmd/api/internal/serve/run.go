package serve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/logpipe"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/terminal"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/trail"
	"github.com/latchkey-sessions/latchkey/httpapi"
)

// Config is the configuration of the service.
type Config struct {
	Settings *settings.Serve
	Version  string
	// Environment has OpenTelemetry's variables, and the files that secrets came from.
	Environment *settings.Environment
	// ReadAgain signals when to reread secrets in files; they are also checked periodically.
	ReadAgain      <-chan os.Signal
	Stdout, Stderr io.Writer
}

// Run serves until ctx ends. It returns nil once all requests are answered and a private database is shut
// down.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Settings.Meant(); err != nil {
		return err
	}
	clients, err := cfg.Settings.Clients()
	if err != nil {
		return err
	}
	endpoints, eventsFiles, err := cfg.Settings.Events(clients)
	if err != nil {
		return err
	}
	log, closeLog := newLogger(cfg)
	defer closeLog()
	traces, err := startTraces(ctx, cfg.Environment, cfg.Version, log)
	if err != nil {
		return err
	}
	log = traces.logger(log)
	_, isGOGCSet := cfg.Environment.Lookup("GOGC")
	if err := fitMemory(memlimit.FromCgroup, cfg.Settings.Private(), isGOGCSet); err != nil {
		log.WarnContext(ctx, "the container's memory limit is unknown: set GOMEMLIMIT", "error", err)
	}
	public, internal, err := listen(ctx, string(cfg.Settings.PublicAddr), string(cfg.Settings.InternalAddr))
	if err != nil {
		return err
	}
	defer func() { _, _ = public.Close(), internal.Close() }() // if they were not used

	s := &service{
		Serve: cfg.Settings, version: cfg.Version, environment: cfg.Environment, readAgain: cfg.ReadAgain, log: log, traces: traces, clients: clients, endpoints: endpoints, eventsFiles: eventsFiles,
		public: public, internal: internal,
	}
	greetAt := cfg.Stdout
	if s.AuditLog == settings.AuditStdout {
		greetAt = cfg.Stderr // a stream of events must contain nothing else
	}
	err = trail.While(ctx, s.Audit, cfg.Stdout, log, traces.origin(httpapi.Origin), func(t trail.Trail) error {
		s.trail = t
		if !s.Private() {
			return s.onConfigured(ctx)
		}
		return s.onPrivate(ctx, greetAt)
	})
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // the signal came before it was ready
	}
	return err
}

// logTimeout limits how long the remaining log is written at the end.
const logTimeout = time.Second

// newLogger returns a logger that never makes a request wait, whatever reads the log. At a terminal each line appears
// at once, in order with what is printed.
func newLogger(cfg Config) (log *slog.Logger, closeLog func()) {
	if terminal.Is(cfg.Stderr) {
		return cfg.Settings.NewLogger(cfg.Stderr), func() {}
	}
	pipe := logpipe.New(cfg.Stderr, func(lines int) {
		log.Warn("log lines were lost: nobody read the log", "lines", lines)
	})
	log = cfg.Settings.NewLogger(pipe)
	return log, func() { pipe.Close(logTimeout) }
}
