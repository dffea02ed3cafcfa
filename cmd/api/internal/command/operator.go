package command

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/user"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/trail"
)

// byOperator is [trail.While] for a command: somebody at a command line acts. Standard output is for what a command prints, so
// events that are to go there go to standard error.
func byOperator(a *app, s settings.Audit, log *slog.Logger, use func(context.Context, trail.Trail) error) error {
	return trail.While(a.ctx, s, a.stderr, log, nil, func(t trail.Trail) error {
		return use(audit.WithOrigin(a.ctx, audit.Origin{Actor: audit.Actor{Type: audit.Operator, ID: operatorName()}}), t)
	})
}

// operatorName is user@host, as far as the machine knows.
func operatorName() string {
	name := fmt.Sprintf("uid %d", os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}
