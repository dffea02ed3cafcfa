package command

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/serve"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
)

type serveCmd struct{ settings.Serve }

// Run serves until a signal comes. SIGHUP has it read secrets again.
func (c *serveCmd) Run(a *app) error {
	// What reads the log may go, and come back: that ends no service.
	signal.Ignore(syscall.SIGPIPE)
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	return serve.Run(a.ctx, serve.Config{
		Settings: &c.Serve, Version: a.version, Environment: a.environment, ReadAgain: again, Stdout: a.stdout, Stderr: a.stderr,
	})
}
