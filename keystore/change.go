package keystore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// change runs f with the lock, and has the copies written. Its statements see what was
// committed before the lock was taken; its times are those of clock_timestamp() or
// statement_timestamp(), since now() is that of the wait's beginning.
func (s *Store) change(ctx context.Context, f func(pgx.Tx) (changed bool, err error)) error {
	copies, _ := s.readCopies(ctx) // those that can be read
	if err := s.changeOwn(ctx, copies, f); err != nil {
		return err
	}
	s.sync(ctx)
	return nil
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

const signingQuery = `
SELECT "id" FROM "sessionStoreSigningKey" WHERE "signsFrom" <= clock_timestamp() AND "verifiesUntil" IS NULL
ORDER BY "signsFrom" DESC, "id" DESC LIMIT 1`

// signing returns the id of the signing key, or "".
func signing(ctx context.Context, tx pgx.Tx) (string, error) {
	return orNone(tx.QueryRow(ctx, signingQuery))
}

const publishedQuery = `
SELECT "id" FROM "sessionStoreSigningKey" WHERE "signsFrom" > clock_timestamp() AND "verifiesUntil" IS NULL
ORDER BY "signsFrom" LIMIT 1`

// published returns the id of the key that signs next, or "".
func published(ctx context.Context, tx pgx.Tx) (string, error) {
	return orNone(tx.QueryRow(ctx, publishedQuery))
}

const signNowQuery = `UPDATE "sessionStoreSigningKey" SET "signsFrom" = statement_timestamp() WHERE "id" = $1`

func signNow(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, signNowQuery, id)
	return err
}

func orNone(r pgx.Row) (id string, err error) {
	if err := r.Scan(&id); !isNoRows(err) {
		return id, err
	}
	return "", nil
}

func isNoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }
