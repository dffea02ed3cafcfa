package keystore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/tokens"
)

const countQuery = `SELECT count(*) FROM "sessionStoreSigningKey"`

// Begin returns the ring. If no key signs, it makes the first one, which signs
// at once; replicas that begin at the same moment make only one.
//
// If there are no keys at all, it takes over those of the given JWK set,
// unless it is empty: the first one that can continues to sign, the others
// continue to verify, and tokens that they have signed stay valid.
func (s *Store) Begin(ctx context.Context, jwks tokens.Secret) (*tokens.KeyRing, error) {
	s.sync(ctx)
	ring, err := s.Load(ctx)
	if !errors.Is(err, ErrNoKeys) {
		return ring, err
	}
	err = s.change(ctx, func(tx pgx.Tx) (bool, error) {
		if id, err := signing(ctx, tx); err != nil || id != "" {
			return false, err // another replica was faster
		}
		var n int
		if err := tx.QueryRow(ctx, countQuery).Scan(&n); err != nil {
			return false, err
		}
		if n == 0 && jwks != "" {
			return true, s.takeOver(ctx, tx, jwks)
		}
		_, err := s.make(ctx, tx, 0)
		return true, err
	})
	if err != nil {
		return nil, fmt.Errorf("make the first signing key: %w", err)
	}
	return s.Load(ctx)
}

// takeOver keeps the order of the set's keys: the later a key comes in the set,
// the longer ago it began to sign.
func (s *Store) takeOver(ctx context.Context, tx pgx.Tx, jwks tokens.Secret) error {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal([]byte(jwks), &set); err != nil {
		return errors.New("not a JWK set")
	}
	ring, err := tokens.ParseKeyRing([]byte(jwks))
	if err != nil {
		return err
	}
	for i, info := range ring.Keys() {
		since := time.Duration(i+1) * time.Second
		if info.Signs {
			since = 0
		}
		if err := s.insert(ctx, tx, info.ID, info.Algorithm, tokens.Secret(set.Keys[i]), -since); err != nil {
			return err
		}
	}
	return nil
}
