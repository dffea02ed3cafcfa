// Package command is the command line. This file has the tree of commands; each stands in a file of its own or of its group.
package command

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
	Sessions sessionsCmd `cmd:"" help:"List, show and end sessions."`
	Events   eventsCmd   `cmd:"" help:"List events that could not be delivered, and send them again."`
	Console  consoleCmd  `cmd:"" help:"Print a link that signs you in to the operators' page."`
	Health   healthCmd   `cmd:"" help:"Ask the service on this machine whether it is ready."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// migrateCmd holds the commands about the schema.
type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" default:"withargs" help:"Run the migrations that are pending."`
	Status migrateStatusCmd `cmd:"" help:"List the migrations and when each was run."`
	Down   migrateDownCmd   `cmd:"" help:"Take back the newest migration, with the data that it holds."`
}

// keysCmd holds the commands about keys.
type keysCmd struct {
	Init     keysInitCmd     `cmd:"" help:"Make a signing key and a service key, unless they are there."`
	Generate keysGenerateCmd `cmd:"" help:"Make a signing key."`
	List     keysListCmd     `cmd:"" help:"List the signing keys, without their secrets."`
	Export   keysExportCmd   `cmd:"" help:"Print the public keys, also as PEM."`
	Rotate   keysRotateCmd   `cmd:"" help:"Replace the signing key in PostgreSQL; nobody is logged out."`
	Revoke   keysRevokeCmd   `cmd:"" help:"Remove a signing key that has leaked from PostgreSQL, now."`
}

// dataCmd holds the commands about session data that is sealed.
type dataCmd struct {
	Keys      dataKeysCmd      `cmd:"" help:"Make, list and replace the keys that seal session data."`
	Reencrypt dataReencryptCmd `cmd:"" help:"Seal the session data that is there with the key that seals now."`
}

// dataKeysCmd holds the commands about a keyset. Each reads a file and writes it anew: what is running goes on with
// the keyset that it has.
type dataKeysCmd struct {
	Generate dataKeysGenerateCmd `cmd:"" help:"Make a key that seals session data, or one that is to replace it."`
	Promote  dataKeysPromoteCmd  `cmd:"" help:"Make a key of the keyset the one that seals."`
	Remove   dataKeysRemoveCmd   `cmd:"" help:"Take a key out of the keyset: what it sealed is lost."`
	List     dataKeysListCmd     `cmd:"" help:"List the keys of the keyset, without their secrets."`
}

// sessionsCmd holds an operator's commands about sessions.
type sessionsCmd struct {
	List   sessionsListCmd   `cmd:"" help:"List sessions that are live, or have ended, the newest first."`
	Show   sessionsShowCmd   `cmd:"" help:"Show the life of a session, and why it ended."`
	Revoke sessionsRevokeCmd `cmd:"" help:"End sessions now."`
}

// eventsCmd holds an operator's commands about events for other systems.
type eventsCmd struct {
	Dead   eventsDeadCmd   `cmd:"" help:"List deliveries that failed for a day and are not tried again."`
	Resend eventsResendCmd `cmd:"" help:"Have dead deliveries tried again."`
}

// parse reads the command line and, for settings that it does not have, the environment.
func parse(args []string, a *app) (*kong.Context, error) {
	parser, err := kong.New(&cli{},
		kong.Name(a.name),
		kong.NoDefaultHelp(),
		kong.Writers(a.stdout, a.stderr),
		kong.Resolvers(a.environment),
		kong.ExplicitGroups([]kong.Group{
			{Key: "database", Title: "Database:"},
			{Key: "http", Title: "Listeners:"},
			{Key: "tokens", Title: "Tokens and keys:"},
			{Key: "sessions", Title: "Sessions:"},
			{Key: "leaks", Title: "Leak reports:"},
			{Key: "events", Title: "Events:"},
			{Key: "cleanup", Title: "Cleanup:"},
			{Key: "log", Title: "Logging:"},
		}),
		kong.Vars{"program": a.name},
		kong.Bind(a, a.environment),
	)
	if err != nil {
		return nil, err
	}
	return parser.Parse(args)
}
