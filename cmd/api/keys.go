package main

// keysCmd holds the commands about keys.
type keysCmd struct {
	Init     keysInitCmd     `cmd:"" help:"Make a signing key and a service key, unless they are there."`
	Generate keysGenerateCmd `cmd:"" help:"Make a signing key."`
	List     keysListCmd     `cmd:"" help:"List the signing keys, without their secrets."`
	Rotate   keysRotateCmd   `cmd:"" help:"Replace the signing key in PostgreSQL; nobody is logged out."`
	Revoke   keysRevokeCmd   `cmd:"" help:"Remove a signing key that has leaked from PostgreSQL, now."`
}
