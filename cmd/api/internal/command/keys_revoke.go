package command

import (
	"context"
	"fmt"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/trail"
	"github.com/latchkey-sessions/latchkey/keystore"
)

type keysRevokeCmd struct {
	keysChange

	ID string `arg:"" name:"key" help:"The key, as ${program} keys list shows it."`
}

// Help says which users it
// logs out.
func (*keysRevokeCmd) Help() string {
	return "Removes a leaked key. Running services refuse its tokens within a second, and users with no other tokens have to sign in again. " +
		"If it is the current signing key, the published key takes over at once, or a new one. To replace a key without logging anyone out, use api keys rotate."
}

// Run removes the key.
func (c *keysRevokeCmd) Run(a *app) error {
	return c.changeKeys(a, func(ctx context.Context, keys *keystore.Store, t trail.Trail) error {
		signs, err := keys.Revoke(ctx, c.ID)
		if err != nil {
			return err
		}
		t.Record(ctx, audit.Event{Name: audit.SigningKeyRevoked, KeyID: c.ID})
		_, err = fmt.Fprintf(a.stdout, "revoked key %s; key %s (%s) signs now\n", c.ID, signs.ID, signs.Algorithm)
		return err
	})
}
