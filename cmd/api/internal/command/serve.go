package command

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/serve"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
)

type serveCmd struct{ settings.Serve }

// Run serves until a signal arrives. SIGHUP makes it reread secrets.
func (c *serveCmd) Run(a *app) error {
	// The reader of the log may go away and come back: that must not
	// end the service.
	signal.Ignore(syscall.SIGPIPE)
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	return serve.Run(a.ctx, serve.Config{
		Settings: &c.Serve, Version: a.version, Environment: a.environment, ReadAgain: again, Stdout: a.stdout, Stderr: a.stderr,
	})
}
