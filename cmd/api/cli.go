package main

import (
	"github.com/alecthomas/kong"
)

// cli is the command line: one field a command.
type cli struct {
	Help helpFlag `short:"h" help:"Show this help."`

	Serve    serveCmd    `cmd:"" default:"withargs" help:"Run the service."`
	Migrate  migrateCmd  `cmd:"" help:"Create or change the database schema."`
	Cleanup  cleanupCmd  `cmd:"" help:"Remove ended sessions now."`
	Keys     keysCmd     `cmd:"" help:"Make, list and replace signing keys."`
	Data     dataCmd     `cmd:"" help:"Keys that seal session data, and sealing it anew."`
	Sessions sessionsCmd `cmd:"" help:"List and end sessions."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// parse reads the command line and, for settings that it does not have, the environment.
func parse(args []string, lookup func(string) (string, bool), a *app) (*kong.Context, error) {
	parser, err := kong.New(&cli{},
		kong.Name("api"),
		kong.NoDefaultHelp(),
		kong.Writers(a.stdout, a.stderr),
		kong.Resolvers(environment(lookup)),
		kong.ExplicitGroups([]kong.Group{
			{Key: "database", Title: "Database:"},
			{Key: "http", Title: "Listeners:"},
			{Key: "tokens", Title: "Tokens and keys:"},
			{Key: "sessions", Title: "Sessions:"},
			{Key: "leaks", Title: "Leak reports:"},
			{Key: "cleanup", Title: "Cleanup:"},
			{Key: "log", Title: "Logging:"},
		}),
		kong.Bind(a),
	)
	if err != nil {
		return nil, err
	}
	return parser.Parse(args)
}
