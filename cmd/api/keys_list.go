package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/latchkey-sessions/latchkey/tokens"
)

type keysListCmd struct {
	SigningKeysFile text `name:"signing-keys-file" aliases:"file" group:"tokens" placeholder:"FILE" help:"Private JWK set to list (--file is the same). By default the one in VAR_DIR."`
	VarDir          text `name:"var-dir" group:"database" placeholder:"DIR" default:"./var" help:"Where keys are that were made for the private PostgreSQL."`
	JSON            bool `name:"json" help:"Print JSON."`
}

// Run lists the keys. No private part is printed.
func (c *keysListCmd) Run(a *app) error {
	ring, err := readKeyRing(cmp.Or(string(c.SigningKeysFile), filepath.Join(string(c.VarDir), signingKeysName)))
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(struct {
			Keys []tokens.KeyInfo `json:"keys"`
		}{ring.Keys()})
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KEY\tALGORITHM\tUSE")
	for _, key := range ring.Keys() {
		use := "verifies"
		if key.Signs {
			use = "signs"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", key.ID, key.Algorithm, use)
	}
	return table.Flush()
}

func readKeyRing(file string) (*tokens.KeyRing, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	ring, err := tokens.ParseKeyRing(content)
	if err != nil {
		return nil, fmt.Errorf("signing keys in %s: %w", file, err)
	}
	return ring, nil
}
