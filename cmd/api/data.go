package main

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
