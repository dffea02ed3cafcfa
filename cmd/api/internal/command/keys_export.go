package command

import (
	"cmp"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"path/filepath"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/keyfiles"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

type keysExportCmd struct {
	keysTask
	settings.ListedKeys

	ID  string `arg:"" optional:"" name:"key" help:"The key, as ${program} keys list shows it. By default all keys."`
	PEM bool   `name:"pem" help:"Print PEM, for programs that cannot read a JWK set, such as HAProxy."`
}

// Help says which keys are exported, and what they are for.
func (*keysExportCmd) Help() string {
	return "Prints the public keys that verify access tokens: from PostgreSQL if LATCHKEY_KEY_ENCRYPTION_KEY is set, otherwise " +
		"from the file. HS256 keys have no public part. A program that keeps a copy must get a new copy before a new key signs."
}

// Validate accepts either source of the keys.
func (*keysExportCmd) Validate() error { return nil }

// Run prints the public keys.
func (c *keysExportCmd) Run(a *app) error {
	if len(c.KeyEncryptionKey) > 0 {
		return c.withKeys(a.ctx, c.NewLogger(a.stderr), func(keys *keystore.Store) error {
			ring, err := keys.Load(a.ctx)
			if err != nil {
				return err
			}
			return c.export(a, ring)
		})
	}
	_, ring, err := settings.ReadSigningKeys(cmp.Or(string(c.SigningKeysFile), filepath.Join(string(c.VarDir), keyfiles.SigningKeys)))
	if err != nil {
		return err
	}
	return c.export(a, ring)
}

func (c *keysExportCmd) export(a *app, ring *tokens.KeyRing) error {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(ring.PublicJWKS(), &set); err != nil {
		return err
	}
	if c.ID != "" {
		set.Keys = set.Key(c.ID)
	}
	if len(set.Keys) == 0 {
		return fmt.Errorf("there is no such public key: %q", c.ID)
	}
	if !c.PEM {
		return a.printJSON(set)
	}
	for _, key := range set.Keys {
		der, err := x509.MarshalPKIXPublicKey(key.Key)
		if err != nil {
			return fmt.Errorf("key %s: %w", key.KeyID, err)
		}
		// Text before a block is for people: RFC 7468 §2.
		if _, err := fmt.Fprintf(a.stdout, "%s %s\n", key.KeyID, key.Algorithm); err != nil {
			return err
		}
		if err := pem.Encode(a.stdout, &pem.Block{Type: "PUBLIC KEY", Bytes: der}); err != nil {
			return err
		}
	}
	return nil
}
