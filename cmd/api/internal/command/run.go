package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
)

const (
	exitDone    = 0
	exitFailure = 1
	exitUsage   = 2
)

// app is what every command works with.
type app struct {
	ctx            context.Context
	stdout, stderr io.Writer
	// lookup finds a variable of the environment.
	lookup  func(string) (string, bool)
	version string
}

// Run does what the command line says and returns the exit code. A failure is one line on standard error. The version is
// the program's; lookup finds a variable of the environment.
func Run(version string, args []string, lookup func(string) (string, bool), stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks; after it signals act at once again, so that the second one ends the process.
	context.AfterFunc(ctx, stop)

	a := &app{ctx: ctx, stdout: stdout, stderr: stderr, lookup: lookup, version: version}
	command, err := parse(args, lookup, a)
	if err == nil {
		err = command.Run()
	}
	switch {
	case err == nil, errors.Is(err, errHelped):
		return exitDone
	case usage(err) != "":
		_, _ = fmt.Fprintf(stderr, "api: %s\n", oneLine(usage(err)))
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		_, _ = fmt.Fprintln(stderr, "api: interrupted")
		return exitFailure
	default:
		_, _ = fmt.Fprintf(stderr, "api: %s\n", oneLine(err.Error()))
		return exitFailure
	}
}

// usage is what to say of a wrong command line or setting, or nothing if err is something else.
func usage(err error) string {
	if setting, ok := errors.AsType[*settings.Error](err); ok {
		return setting.Error() // without what kong put before it
	}
	if parsing, ok := errors.AsType[*kong.ParseError](err); ok {
		return parsing.Error() + " (api --help tells more)"
	}
	return ""
}

// oneLine keeps scripts and logs readable where an error, such as pgx's, has several lines.
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
