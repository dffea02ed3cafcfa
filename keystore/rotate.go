package keystore

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const youngestQuery = `SELECT "id" FROM "sessionStoreSigningKey" ORDER BY "createdAt" DESC, "id" DESC LIMIT 1`

// Rotate publishes a new key, which signs after [Config].PublishAhead, or, with
// now, at once: then a verifier with a copy of the published keys may not know
// it yet. It returns the new key, and true.
//
// If a key is already published but does not sign yet, or another rotation makes
// one meanwhile, it returns that key, and false. With now, that key too signs at
// once. It fails with [ErrNoKeys] before the first [Store.Begin].
func (s *Store) Rotate(ctx context.Context, now bool) (key Key, made bool, err error) {
	before, err := orNone(s.pool.QueryRow(ctx, youngestQuery))
	if err != nil {
		return Key{}, false, fmt.Errorf("rotate the signing keys: %w", err)
	}
	err = s.change(ctx, func(tx pgx.Tx) (changed bool, err error) {
		if id, err := signing(ctx, tx); err != nil || id == "" {
			return false, cmp.Or(err, ErrNoKeys)
		}
		id, err := published(ctx, tx)
		if err != nil {
			return false, err
		}
		youngest, err := orNone(tx.QueryRow(ctx, youngestQuery))
		switch {
		case err != nil:
			return false, err
		case id != "" && now:
			changed, err = true, signNow(ctx, tx, id)
		case id != "":
		case youngest != before:
			id = youngest
		case now:
			made = true
			id, err = s.make(ctx, tx, 0)
		default:
			made = true
			id, err = s.make(ctx, tx, s.cfg.PublishAhead)
		}
		if err != nil {
			return false, err
		}
		key, err = get(ctx, tx, id)
		return made || changed, err
	})
	if err != nil {
		return Key{}, false, fmt.Errorf("rotate the signing keys: %w", err)
	}
	return key, made, nil
}

const deleteQuery = `DELETE FROM "sessionStoreSigningKey" WHERE "id" = $1`

// Revoke removes a key at once, for one that has leaked: every token that it
// signed is refused from then on, and its sessions' users sign in again. If it
// was the signing key, the published one takes over, or a new one. It returns
// the signing key, or [ErrNotFound] if there is no such key.
func (s *Store) Revoke(ctx context.Context, id string) (signs Key, err error) {
	err = s.change(ctx, func(tx pgx.Tx) (bool, error) {
		leaked, err := get(ctx, tx, id)
		if err != nil {
			return false, err
		}
		if _, err := tx.Exec(ctx, deleteQuery, id); err != nil {
			return false, err
		}
		if leaked.State == Signing {
			if err := s.replaceNow(ctx, tx, leaked.Algorithm); err != nil {
				return false, err
			}
		}
		next, err := signing(ctx, tx)
		if err != nil {
			return false, err
		}
		signs, err = get(ctx, tx, next)
		return true, err
	})
	if err != nil {
		return Key{}, fmt.Errorf("revoke a signing key: %w", err)
	}
	return signs, nil
}

func (s *Store) replaceNow(ctx context.Context, tx pgx.Tx, algorithm string) error {
	next, err := published(ctx, tx)
	if err != nil {
		return err
	}
	if next != "" {
		return signNow(ctx, tx, next)
	}
	_, err = s.makeAfter(ctx, tx, algorithm, 0)
	return err
}
