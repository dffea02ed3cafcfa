package command

import (
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/serve"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
)

type serveCmd struct{ settings.Serve }

// Run serves until a signal comes.
func (c *serveCmd) Run(a *app) error {
	return serve.Run(a.ctx, serve.Config{Settings: &c.Serve, Version: a.version, Lookup: a.environment.Lookup, Stdout: a.stdout, Stderr: a.stderr})
}
