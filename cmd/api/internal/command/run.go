package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
)

const (
	exitDone    = 0
	exitFailure = 1
	exitUsage   = 2
)

// Run executes the command line and returns the exit code. A failure is one line on standard error. name is what
// the command is called, which packages choose; version is the program's; environ is the environment as
// [os.Environ] returns it.
func Run(name, version string, args, environ []string, stdout, stderr io.Writer) int {
	ctx, stop := untilSignal()
	defer stop()

	a := &app{ctx: ctx, stdout: stdout, stderr: stderr, environment: settings.NewEnvironment(environ), name: name, version: version}
	command, err := parse(args, a)
	if err == nil {
		a.warnOfOldNames(command)
		err = command.Run()
	}
	switch {
	case err == nil, errors.Is(err, errHelped):
		return exitDone
	case a.usage(err) != "":
		a.say(oneLine(a.usage(err)))
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		a.say("interrupted")
		return exitFailure
	default:
		a.say(oneLine(err.Error()) + hint(err))
		return exitFailure
	}
}

// parse reads the command line and, for settings that are not on it, the environment.
func parse(args []string, a *app) (*kong.Context, error) {
	parser, err := kong.New(&cli{},
		kong.Name(a.name),
		kong.NoDefaultHelp(),
		kong.Writers(a.stdout, a.stderr),
		kong.Resolvers(a.environment),
		kong.ExplicitGroups(settings.Groups),
		kong.Vars{"program": a.name},
		kong.Bind(a, a.environment),
	)
	if err != nil {
		return nil, err
	}
	return parser.Parse(args)
}

// untilSignal returns a context that the first signal ends, which is its cause. After that, a second signal takes effect at once, so that
// a user can force the process to end.
func untilSignal() (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case got := <-signals:
			signal.Stop(signals)
			cancel(fmt.Errorf("signal: %v", got))
		case <-ctx.Done():
			signal.Stop(signals)
		}
	}()
	return ctx, func() { cancel(nil) }
}
