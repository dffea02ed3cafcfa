package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/trail"
	"github.com/latchkey-sessions/latchkey/keystore"
)

type keysRotateCmd struct {
	keysChange

	Now bool `help:"Sign with the new key at once. Services that verify with a copy of the public keys may not know it for a few minutes."`
}

// Help says what happens, and to which users.
func (*keysRotateCmd) Help() string {
	return "Publishes a new key, which takes over after 15 minutes, when all verifiers have fetched it. " +
		"The previous key verifies until the last token that it signed has expired: nobody is logged out. " +
		"The service rotates automatically every LATCHKEY_KEY_ROTATION_INTERVAL."
}

// Run makes a key, unless there is one that does not sign yet.
func (c *keysRotateCmd) Run(a *app) error {
	return c.changeKeys(a, func(ctx context.Context, keys *keystore.Store, t trail.Trail) error {
		key, made, err := keys.Rotate(ctx, c.Now)
		if errors.Is(err, keystore.ErrNoKeys) {
			return errors.New("there is no signing key in the database yet: `api serve` makes the first one when it starts")
		}
		if err != nil {
			return err
		}
		if made || c.Now {
			t.Record(ctx, audit.Event{Name: audit.SigningKeyRotated, KeyID: key.ID})
		}
		did := "made"
		if !made {
			did = "there already is"
		}
		when := "from " + formatTime(key.SignsFrom)
		if key.State != keystore.Published {
			when = "now"
		}
		_, err = fmt.Fprintf(a.stdout, "%s key %s (%s): it signs %s\n", did, key.ID, key.Algorithm, when)
		return err
	})
}
