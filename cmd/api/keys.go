package main

// keysCmd holds the commands about keys.
type keysCmd struct {
	Init     keysInitCmd     `cmd:"" help:"Make a signing key and a service key, unless they are there."`
	Generate keysGenerateCmd `cmd:"" help:"Make a signing key."`
	List     keysListCmd     `cmd:"" help:"List the signing keys, without their secrets."`
}
