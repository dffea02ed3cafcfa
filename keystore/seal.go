package keystore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/tokens"
)

const sealedQuery = `SELECT "id", "sealed" FROM "sessionStoreSigningKey"`

// unsealed is a private key.
type unsealed struct {
	id      string
	jwk     tokens.Secret
	current bool // sealed with the current sealing key
}

// unsealed opens all keys.
func (s *Store) unsealed(ctx context.Context, tx pgx.Tx) ([]unsealed, error) {
	rows, err := tx.Query(ctx, sealedQuery)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (k unsealed, err error) {
		var sealed string
		if err := r.Scan(&k.id, &sealed); err != nil {
			return k, err
		}
		k.jwk, k.current, err = s.open(sealed, k.id)
		return k, err
	})
}

func (s *Store) open(sealed, id string) (jwk tokens.Secret, current bool, err error) {
	jwk, current, err = s.cfg.Sealer.Open(sealed, id)
	if err != nil {
		return "", false, fmt.Errorf("signing key %q: %w", id, err)
	}
	return jwk, current, nil
}
