package command

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/keyfiles"
	"github.com/latchkey-sessions/latchkey/internal/secretfile"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

type keysGenerateCmd struct {
	Algorithm string `enum:"EdDSA,ES256,RS256,PS256,HS256," default:"" placeholder:"ALG" help:"EdDSA, ES256, RS256, PS256 or HS256. By default the algorithm of the current signing key in FILE, and ES256 for a new set."`
	File      string `placeholder:"FILE" help:"JWK set to add the key to, made if it does not exist. Without this flag a new set is printed."`
	First     bool   `help:"Put the key first, so that it signs. Otherwise it is last and only verifies, until all replicas know it."`
}

// Help explains how keys are replaced.
func (*keysGenerateCmd) Help() string {
	return "To replace a key without logging anyone out: add the new key, restart every replica, move the key to the front of the file, " +
		"restart them again, and remove the old key once LATCHKEY_REFRESH_TOKEN_TTL has passed."
}

// Run makes a key. With --file nothing secret is printed.
func (c *keysGenerateCmd) Run(a *app) error {
	var set tokens.Secret
	write := keyfiles.Replace
	if c.File != "" {
		content, err := secretfile.Read(c.File)
		if errors.Is(err, fs.ErrNotExist) {
			write = keyfiles.Create
		} else if err != nil {
			return fmt.Errorf("read the keys: %w", err)
		}
		set = tokens.Secret(content)
	}
	algorithm, err := c.algorithmFor(set)
	if err != nil {
		return err
	}
	key, id, err := tokens.GenerateKey(algorithm)
	if err != nil {
		return err
	}
	add := tokens.AppendKey
	if c.First {
		add = tokens.PrependKey
	}
	if set, err = add(set, key); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if c.File == "" {
		_, err = a.stdout.Write([]byte(set))
		return err
	}
	if err := write(c.File, []byte(set)); err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	_, err = fmt.Fprintf(a.stdout, "made key %s (%s) in %s\n", id, algorithm, c.File)
	return err
}

// algorithmFor returns the algorithm for a new key, given those
// in the set.
func (c *keysGenerateCmd) algorithmFor(set tokens.Secret) (string, error) {
	if c.Algorithm != "" || set == "" {
		return cmp.Or(c.Algorithm, keystore.DefaultAlgorithm), nil
	}
	ring, err := tokens.ParseKeyRing([]byte(set))
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.File, err)
	}
	for _, key := range ring.Keys() {
		if key.Signs {
			return key.Algorithm, nil
		}
	}
	return keystore.DefaultAlgorithm, nil
}
