package command

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

// errHelped says that help was requested and printed.
var errHelped = errors.New("help was printed")

const helpIntro = `Usage: %[1]s [<command>] [flags]

Latchkey keeps login sessions in PostgreSQL, hands out short-lived access tokens
and rotating refresh tokens for them, and notices a stolen one. Without a
command, %[1]s is %[1]s serve. Without LATCHKEY_DATABASE_URL it runs its own
database: to try it, run it and paste what it prints.

Commands:
`

const helpSettings = `
"%[1]s <command> --help" shows more. The exit code is 0 on success, 1 on failure,
and 2 for a wrong command line or setting.

These are the settings of %[1]s serve. Each is a flag and an environment variable:
--public-addr is LATCHKEY_PUBLIC_ADDR. The flag wins, and an empty variable
counts as not set. Durations are written as in Go: 15s, 5m, 720h.
`

// helpFlag is kong's help flag, except that it returns instead of ending the process.
type helpFlag bool

// IgnoreDefault keeps kong from choosing the default command if help is requested.
func (helpFlag) IgnoreDefault() {}

// BeforeReset prints the help before any setting is read, so that an invalid one does not
// prevent it.
func (helpFlag) BeforeReset(ctx *kong.Context) error {
	if err := printHelp(ctx); err != nil {
		return err
	}
	return errHelped
}

func printHelp(ctx *kong.Context) error {
	options := kong.HelpOptions{ValueFormatter: describe, WrapUpperBound: 120}
	if ctx.Selected() != nil {
		return kong.DefaultHelpPrinter(options, ctx)
	}
	if err := printCommands(ctx.Stdout, ctx.Model); err != nil {
		return err
	}
	// The rest is the help of the default command, which has the settings.
	serve := ctx.Model.DefaultCmd
	ctx.Path = append(ctx.Path, &kong.Path{Parent: ctx.Model.Node, Command: serve, Flags: serve.Flags})
	options.NoAppSummary = true
	serve.Help = ""
	return kong.DefaultHelpPrinter(options, ctx)
}

func printCommands(w io.Writer, model *kong.Application) error {
	table := tabwriter.NewWriter(w, 0, 0, 4, ' ', 0)
	_, _ = fmt.Fprintf(table, helpIntro, model.Name)
	for _, leaf := range model.Leaves(true) {
		_, _ = fmt.Fprintf(table, "  %s\t%s\n", leaf.Path(), leaf.Help)
	}
	_, _ = fmt.Fprintf(table, helpSettings, model.Name)
	return table.Flush()
}

// describe returns a flag's or argument's help, with its default.
func describe(value *kong.Value) string {
	help, unset := strings.TrimSuffix(value.Help, "."), value.Tag.Get("unset")
	switch {
	case value.Default != "":
		return help + " (default " + value.Default + ")."
	case unset != "":
		return help + " (by default " + unset + ")."
	}
	return value.Help
}
