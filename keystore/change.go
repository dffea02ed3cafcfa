package keystore

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Every change of keys holds one lock, so that no decision rests on an outdated state. It does not lock the table:
// readers never wait.
const (
	lockQuery   = `SELECT pg_advisory_xact_lock(hashtextextended('latchkey signing keys', 0))`
	notifyQuery = `SELECT pg_notify('` + channel + `', '')`
)

// change runs f with the lock, and has the copies written. Its statements see what was
// committed before the lock was taken; its times are those of clock_timestamp(), since now() is
// that of the wait's beginning.
func (s *Store) change(ctx context.Context, f func(pgx.Tx) (changed bool, err error)) error {
	copies, _ := s.readCopies(ctx) // those that can be read
	if err := s.changeOwn(ctx, copies, f); err != nil {
		return err
	}
	s.sync(ctx)
	return nil
}

// changeOwn is change without the copies' writing. If one of them is newer, f changes that.
func (s *Store) changeOwn(ctx context.Context, copies []keySet, f func(pgx.Tx) (changed bool, err error)) error {
	return pgx.BeginFunc(ctx, isolation.Pool{Pool: s.pool}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockQuery); err != nil {
			return err
		}
		adopted, err := s.adopt(ctx, tx, copies)
		if err != nil {
			return err
		}
		changed, err := f(tx)
		if err != nil || !changed && !adopted {
			return err
		}
		if changed {
			if _, err := tx.Exec(ctx, bumpQuery); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, notifyQuery)
		return err
	})
}

const insertQuery = `
INSERT INTO "sessionStoreSigningKey" ("id", "algorithm", "sealed", "createdAt", "signsFrom")
VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp() + $4::interval)`

func (s *Store) insert(ctx context.Context, tx pgx.Tx, id, algorithm string, jwk tokens.Secret, signsIn time.Duration) error {
	sealed, err := s.cfg.Sealer.Seal(jwk)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, insertQuery, id, algorithm, sealed, signsIn)
	return err
}

const latestAlgorithmQuery = `SELECT "algorithm" FROM "sessionStoreSigningKey" ORDER BY "signsFrom" DESC, "id" DESC LIMIT 1`

// make adds a new key after the existing ones.
func (s *Store) make(ctx context.Context, tx pgx.Tx, signsIn time.Duration) (id string, err error) {
	latest, err := orNone(tx.QueryRow(ctx, latestAlgorithmQuery))
	if err != nil {
		return "", err
	}
	return s.makeAfter(ctx, tx, latest, signsIn)
}

// makeAfter adds a new key after one with the given algorithm, or the first key
// if that is empty. It must be sealed so that every replica that can open the
// others can open it.
func (s *Store) makeAfter(ctx context.Context, tx pgx.Tx, algorithm string, signsIn time.Duration) (id string, err error) {
	if _, err := s.unsealed(ctx, tx); err != nil {
		return "", err
	}
	algorithm = cmp.Or(s.cfg.Algorithm, algorithm, DefaultAlgorithm)
	jwk, id, err := tokens.GenerateKey(algorithm)
	if err != nil {
		return "", err
	}
	return id, s.insert(ctx, tx, id, algorithm, jwk, signsIn)
}

const getQuery = `SELECT ` + keyColumns + ` FROM "sessionStoreSigningKey" WHERE "id" = $1`

func get(ctx context.Context, tx pgx.Tx, id string) (Key, error) {
	rows, err := tx.Query(ctx, getQuery, id)
	if err != nil {
		return Key{}, err
	}
	key, err := pgx.CollectExactlyOneRow(rows, scanKey)
	if isNoRows(err) {
		return Key{}, fmt.Errorf("%w: %q", ErrNotFound, id)
	}
	return key, err
}

const publishedQuery = `
SELECT "id" FROM "sessionStoreSigningKey" WHERE "signsFrom" > clock_timestamp() AND "verifiesUntil" IS NULL
ORDER BY "signsFrom" LIMIT 1`

// published returns the id of the key that signs next, or "".
func published(ctx context.Context, tx pgx.Tx) (string, error) {
	return orNone(tx.QueryRow(ctx, publishedQuery))
}

const signNowQuery = `UPDATE "sessionStoreSigningKey" SET "signsFrom" = clock_timestamp() WHERE "id" = $1`

func signNow(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, signNowQuery, id)
	return err
}

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
