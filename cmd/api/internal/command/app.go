package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/internal/primary"
)

// app is what every command uses.
type app struct {
	ctx            context.Context
	stdout, stderr io.Writer
	environment    *settings.Environment
	name, version  string
}

// logs is a command with [settings.Log].
type logs interface {
	NewLogger(w io.Writer) *slog.Logger
}

// say prints why a command failed. Errors use the folder's name for the program: here it
// is replaced with the name by which it was called.
func (a *app) say(text string) {
	_, _ = fmt.Fprintf(a.stderr, "%s: %s\n", a.name, strings.ReplaceAll(text, "`api ", "`"+a.name+" "))
}

// warnOfOldNames logs as the command does, if it logs.
func (a *app) warnOfOldNames(command *kong.Context) {
	renamed := a.environment.Renamed()
	if len(renamed) == 0 {
		return
	}
	c, ok := reflect.TypeAssert[logs](command.Selected().Target.Addr())
	if !ok {
		c = settings.Log{}
	}
	c.NewLogger(a.stderr).WarnContext(a.ctx, "settings have new names, and the old ones will not be read forever", "rename", strings.Join(renamed, ", "))
}

// usage is the message for an invalid command line or setting, or nothing if err is something
// else.
func (a *app) usage(err error) string {
	if setting, ok := errors.AsType[*settings.Error](err); ok {
		return setting.Error() // without what kong put before it
	}
	if parsing, ok := errors.AsType[*kong.ParseError](err); ok {
		return parsing.Error() + " (see " + a.name + " --help)"
	}
	return ""
}

// insufficientPrivilege is PostgreSQL's code for a right that a role lacks.
const insufficientPrivilege = "42501"

// hint adds an explanation to an error, if there is one.
func hint(err error) string {
	if primary.Refused(err) {
		return "; the database takes no writes: it is a standby, or default_transaction_read_only is on, for the server, the database or the role"
	}
	if said, ok := errors.AsType[*pgconn.PgError](err); ok && said.Code == insufficientPrivilege {
		return "; docs/operations.md has the GRANTs that each command needs, under Roles in PostgreSQL"
	}
	return ""
}

// oneLine keeps scripts and logs readable if an error, such as pgx's, has several lines.
func oneLine(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if b.Len() > 0 && line != "" {
			if strings.HasSuffix(b.String(), ":") {
				b.WriteString(" ")
			} else {
				b.WriteString("; ")
			}
		}
		b.WriteString(line)
	}
	return b.String()
}
