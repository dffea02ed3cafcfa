package command

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/keyfiles"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/internal/secretfile"
)

type keysInitCmd struct {
	settings.NewKeys

	Show bool `help:"Print only the service key on standard output."`
}

// sayOtherAlgorithm reports a kept key whose algorithm differs from the requested one.
func (c *keysInitCmd) sayOtherAlgorithm(a *app) error {
	file := filepath.Join(string(c.VarDir), keyfiles.SigningKeys)
	_, ring, err := settings.ReadSigningKeys(file)
	if err != nil {
		return err
	}
	if hint := settings.OtherAlgorithm(ring, string(c.KeyAlgorithm), file); hint != "" {
		_, err = fmt.Fprintln(a.stderr, hint)
	}
	return err
}

// Run makes the keys and says on standard error which already existed.
func (c *keysInitCmd) Run(a *app) error {
	files, err := keyfiles.Init(string(c.VarDir), c.KeyAlgorithm.OfFirst())
	if err != nil {
		return err
	}
	for _, file := range files {
		did := "kept"
		if file.Made {
			did = "made"
		}
		if _, err := fmt.Fprintln(a.stderr, did, file.Path); err != nil {
			return err
		}
	}
	if err := c.sayOtherAlgorithm(a); err != nil {
		return err
	}
	if !c.Show {
		return nil
	}
	key, err := secretfile.Read(filepath.Join(string(c.VarDir), keyfiles.ServiceKey))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, strings.TrimSpace(string(key)))
	return err
}
