package command

import (
	"cmp"
	"path/filepath"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/keyfiles"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

type keysListCmd struct {
	keysTask
	settings.ListedKeys

	JSON bool `name:"json" help:"Print JSON."`
}

// Help says which keys are listed.
func (*keysListCmd) Help() string {
	return "Lists the keys in PostgreSQL if LATCHKEY_KEY_ENCRYPTION_KEY is set, otherwise those in the file."
}

// Validate accepts either source of the keys.
func (*keysListCmd) Validate() error { return nil }

// Run lists the keys. No private part is printed.
func (c *keysListCmd) Run(a *app) error {
	if len(c.KeyEncryptionKey) > 0 {
		return c.withKeys(a.ctx, c.NewLogger(a.stderr), func(keys *keystore.Store) error { return c.listStored(a, keys) })
	}
	_, ring, err := settings.ReadSigningKeys(cmp.Or(string(c.SigningKeysFile), filepath.Join(string(c.VarDir), keyfiles.SigningKeys)))
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(struct {
			Keys []tokens.KeyInfo `json:"keys"`
		}{ring.Keys()})
	}
	return printTable(a.stdout, []string{"KEY", "ALGORITHM", "USE"}, ring.Keys(), func(key tokens.KeyInfo) []string {
		use := keystore.Verifying
		if key.Signs {
			use = keystore.Signing
		}
		return []string{key.ID, key.Algorithm, string(use)}
	})
}

// listStored lists the keys in PostgreSQL.
func (c *keysListCmd) listStored(a *app, keys *keystore.Store) error {
	list, err := keys.List(a.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(map[string]any{"keys": storedKeysJSON(list)})
	}
	return printTable(a.stdout, []string{"KEY", "ALGORITHM", "USE", "SIGNS FROM", "VERIFIES UNTIL"}, list, func(key keystore.Key) []string {
		return []string{key.ID, key.Algorithm, string(key.State), formatTime(key.SignsFrom), cmp.Or(formatTime(key.VerifiesUntil), "-")}
	})
}

func storedKeysJSON(list []keystore.Key) any {
	type key struct {
		tokens.KeyInfo

		State         keystore.State `json:"state"`
		SignsFrom     string         `json:"signs_from"`
		VerifiesUntil string         `json:"verifies_until,omitempty"`
	}
	out := make([]key, len(list))
	for i, k := range list {
		info := tokens.KeyInfo{ID: k.ID, Algorithm: k.Algorithm, Signs: k.State == keystore.Signing}
		out[i] = key{info, k.State, formatTime(k.SignsFrom), formatTime(k.VerifiesUntil)}
	}
	return out
}
