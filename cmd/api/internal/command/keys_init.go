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

	Show bool `help:"Print the service key, and nothing else, on standard output."`
}

// Run makes the keys and says on standard error which were there.
func (c *keysInitCmd) Run(a *app) error {
	files, err := keyfiles.Init(string(c.VarDir))
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
