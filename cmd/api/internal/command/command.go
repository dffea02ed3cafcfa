// Package command is the command line. This file has the tree of commands; each is in its own file or that of its group.
package command

// cli is the command line: one field per command.
type cli struct {
	Help helpFlag `short:"h" help:"Show this help."`

	Serve    serveCmd    `cmd:"" default:"withargs" help:"Run the service."`
	Migrate  migrateCmd  `cmd:"" help:"Create or change the database schema."`
	Cleanup  cleanupCmd  `cmd:"" help:"Remove ended sessions now."`
	Keys     keysCmd     `cmd:"" help:"Make, list and replace signing keys."`
	Data     dataCmd     `cmd:"" help:"Manage the keys that seal session data, and seal it again."`
	Sessions sessionsCmd `cmd:"" help:"List, show and end sessions."`
	Shards   shardsCmd   `cmd:"" help:"List and remove the databases that sessions are spread over."`
	Events   eventsCmd   `cmd:"" help:"List events that could not be delivered, and send them again."`
	Console  consoleCmd  `cmd:"" help:"Print a link that signs you in to the operators' page."`
	Health   healthCmd   `cmd:"" help:"Ask the service on this machine whether it is ready."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

// migrateCmd holds the commands about the schema.
type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" default:"withargs" help:"Run the pending migrations."`
	Status migrateStatusCmd `cmd:"" help:"List the migrations and when each was run."`
	Down   migrateDownCmd   `cmd:"" help:"Undo the newest migration, and delete the data that it holds."`
}

// keysCmd holds the commands about keys.
type keysCmd struct {
	Init     keysInitCmd     `cmd:"" help:"Make a signing key and a service key, unless they exist."`
	Generate keysGenerateCmd `cmd:"" help:"Make a signing key."`
	List     keysListCmd     `cmd:"" help:"List the signing keys, without their secrets."`
	Export   keysExportCmd   `cmd:"" help:"Print the public keys, also as PEM."`
	Rotate   keysRotateCmd   `cmd:"" help:"Replace the signing key in PostgreSQL; nobody is logged out."`
	Revoke   keysRevokeCmd   `cmd:"" help:"Remove a leaked signing key from PostgreSQL, now."`
}

// dataCmd holds the commands about sealed session data.
type dataCmd struct {
	Keys      dataKeysCmd      `cmd:"" help:"Make, list and replace the keys that seal session data."`
	Reencrypt dataReencryptCmd `cmd:"" help:"Seal all session data with the current key."`
}

// dataKeysCmd holds the commands about a keyset. Each reads a file and rewrites it: a running service continues
// with the keyset that it has.
type dataKeysCmd struct {
	Generate dataKeysGenerateCmd `cmd:"" help:"Make a key that seals session data, or its successor."`
	Promote  dataKeysPromoteCmd  `cmd:"" help:"Seal with another key of the keyset."`
	Remove   dataKeysRemoveCmd   `cmd:"" help:"Remove a key from the keyset: data that it sealed is lost."`
	List     dataKeysListCmd     `cmd:"" help:"List the keys of the keyset, without their secrets."`
}

// sessionsCmd holds an operator's commands about sessions.
type sessionsCmd struct {
	List   sessionsListCmd   `cmd:"" help:"List live or ended sessions, the newest first."`
	Show   sessionsShowCmd   `cmd:"" help:"Show the life of a session, and why it ended."`
	Revoke sessionsRevokeCmd `cmd:"" help:"End sessions now."`
}

// shardsCmd holds the commands about shards. The schema's migration adds one.
type shardsCmd struct {
	List   shardsListCmd   `cmd:"" help:"List the shards, and what is left on those that are drained."`
	Remove shardsRemoveCmd `cmd:"" help:"Remove a shard without live sessions permanently."`
}

// eventsCmd holds an operator's commands about events for other systems.
type eventsCmd struct {
	Dead   eventsDeadCmd   `cmd:"" help:"List deliveries that failed for a day and are not tried again."`
	Resend eventsResendCmd `cmd:"" help:"Send dead deliveries again."`
}
