package command

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/keyfiles"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/dataseal"
)

type dataKeysGenerateCmd struct {
	File string `placeholder:"FILE" help:"Keyset to add the key to, made if it does not exist. Without this flag a new keyset is printed."`
}

// Help explains how keys are replaced.
func (*dataKeysGenerateCmd) Help() string {
	return "To replace a key: add the new one, restart every replica, promote the key (api data keys promote), restart them again, " +
		"and seal all data again (api data reencrypt). Then remove the old key (api data keys remove)."
}

// Run makes a key. With --file nothing secret is printed.
func (c *dataKeysGenerateCmd) Run(a *app) error {
	var keys *dataseal.Keyset
	err := fs.ErrNotExist
	if c.File != "" {
		keys, err = settings.ReadDataKeyset(c.File)
	}
	id, does, write := "", "opens, but does not seal until you promote it, once every replica has it", keyfiles.Replace
	switch {
	case err == nil:
		keys, id, err = keys.Add()
	case errors.Is(err, fs.ErrNotExist):
		does, write = "seals", keyfiles.Create
		if keys, err = dataseal.NewKeyset(); err == nil {
			id = keys.Keys()[0].ID
		}
	}
	if err != nil {
		return err
	}
	text, err := keys.Marshal()
	if err != nil {
		return err
	}
	if c.File == "" {
		_, err = a.stdout.Write(text)
		return err
	}
	if err := write(c.File, text); err != nil {
		return fmt.Errorf("write the keyset: %w", err)
	}
	_, err = fmt.Fprintf(a.stdout, "made key %s in %s: it %s\n", id, c.File, does)
	return err
}

// dataKeyChange is a change of one key in a file.
type dataKeyChange struct {
	Key  string `arg:"" name:"key" help:"The key, as ${program} data keys list shows it."`
	File string `required:"" placeholder:"FILE" help:"Keyset to change."`
}

// run rewrites the file with the result of change.
func (c *dataKeyChange) run(change func(*dataseal.Keyset, string) (*dataseal.Keyset, error)) error {
	keys, err := settings.ReadDataKeyset(c.File)
	if err != nil {
		return err
	}
	if keys, err = change(keys, c.Key); err != nil {
		return fmt.Errorf("key %s in %s: %w", settings.Quote(c.Key), c.File, err)
	}
	text, err := keys.Marshal()
	if err != nil {
		return err
	}
	if err := keyfiles.Replace(c.File, text); err != nil {
		return fmt.Errorf("write the keyset: %w", err)
	}
	return nil
}

type dataKeysPromoteCmd struct{ dataKeyChange }

// Help says when to do this.
func (*dataKeysPromoteCmd) Help() string {
	return "Restart every replica with the key first: a replica that does not know it cannot open what others seal with it."
}

// Run makes the key the primary one.
func (c *dataKeysPromoteCmd) Run(a *app) error {
	if err := c.run((*dataseal.Keyset).Promote); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "key %s seals, from each replica's next start on\n", c.Key)
	return err
}

type dataKeysRemoveCmd struct{ dataKeyChange }

// Help says what is lost.
func (*dataKeysRemoveCmd) Help() string {
	return "Session data that the key sealed can no longer be opened: api data reencrypt --dry-run shows whether there is any. " +
		"Earlier backups of the database need the key for as long as you keep them."
}

// Run removes the key.
func (c *dataKeysRemoveCmd) Run(a *app) error {
	if err := c.run((*dataseal.Keyset).Remove); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "removed key %s from %s\n", c.Key, c.File)
	return err
}

type dataKeysListCmd struct {
	settings.Data

	JSON bool `name:"json" help:"Print JSON."`
}

// Validate requires a keyset.
func (c *dataKeysListCmd) Validate() error { return c.Required() }

// Run lists the keys. No secret is printed.
func (c *dataKeysListCmd) Run(a *app) error {
	keys, err := c.Keyset()
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(map[string]any{"keys": keys.Keys()})
	}
	return printTable(a.stdout, []string{"KEY", "ALGORITHM", "USE"}, keys.Keys(), func(key dataseal.Key) []string {
		return []string{key.ID, key.Algorithm, useOf(key)}
	})
}

func useOf(key dataseal.Key) string {
	if key.Primary {
		return "seals"
	}
	return "opens"
}
