package keystore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/primary"
)

// keySet are all keys of a database, as its rows have them.
type keySet struct {
	version int64
	keys    []storedKey
}

type storedKey struct {
	id, algorithm, sealed string
	createdAt, signsFrom  time.Time
	verifiesUntil         *time.Time
}

func (k storedKey) equal(other storedKey) bool {
	sameEnd := k.verifiesUntil == nil && other.verifiesUntil == nil ||
		k.verifiesUntil != nil && other.verifiesUntil != nil && k.verifiesUntil.Equal(*other.verifiesUntil)
	return sameEnd && k.id == other.id && k.algorithm == other.algorithm && k.sealed == other.sealed &&
		k.createdAt.Equal(other.createdAt) && k.signsFrom.Equal(other.signsFrom)
}

func (s keySet) equal(other keySet) bool {
	return s.version == other.version && slices.EqualFunc(s.keys, other.keys, storedKey.equal)
}

// setQuery has one row without a key where there is none.
const setQuery = `
SELECT v."version", k."id", k."algorithm", k."sealed", k."createdAt", k."signsFrom", k."verifiesUntil"
FROM (SELECT COALESCE(max("version"), 0) AS "version" FROM "sessionStoreSigningKeySet") v
LEFT JOIN "sessionStoreSigningKey" k ON true
WHERE ` + primary.Only + ` ORDER BY k."id"`

// querier is a pool, or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readSet(ctx context.Context, db querier) (set keySet, err error) {
	rows, _ := db.Query(ctx, setQuery) // rows have its error
	var id, algorithm, sealed *string
	var createdAt, signsFrom, verifiesUntil *time.Time
	if _, err := pgx.ForEachRow(rows, []any{&set.version, &id, &algorithm, &sealed, &createdAt, &signsFrom, &verifiesUntil}, func() error {
		if id != nil {
			set.keys = append(set.keys, storedKey{*id, *algorithm, *sealed, *createdAt, *signsFrom, verifiesUntil})
		}
		return nil
	}); err != nil {
		return keySet{}, fmt.Errorf("read the signing keys: %w", err)
	}
	return set, nil
}

const (
	setVersionQuery = `
INSERT INTO "sessionStoreSigningKeySet" ("version") VALUES ($1) ON CONFLICT ("one") DO UPDATE SET "version" = EXCLUDED."version"`

	deleteOthersQuery = `DELETE FROM "sessionStoreSigningKey" WHERE "id" <> ALL ($1::text[])`

	// storeQuery leaves "storedAt" of a key as it is, unless the key's time to sign was changed.
	storeQuery = `
INSERT INTO "sessionStoreSigningKey" AS k ("id", "algorithm", "sealed", "createdAt", "signsFrom", "verifiesUntil") VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT ("id") DO UPDATE SET "algorithm" = EXCLUDED."algorithm", "sealed" = EXCLUDED."sealed", "createdAt" = EXCLUDED."createdAt",
  "signsFrom" = EXCLUDED."signsFrom", "verifiesUntil" = EXCLUDED."verifiesUntil",
  "storedAt" = CASE WHEN k."signsFrom" = EXCLUDED."signsFrom" THEN k."storedAt" ELSE EXCLUDED."storedAt" END`
)

// replace makes the rows those of the set. Its caller holds the lock.
func replace(ctx context.Context, tx pgx.Tx, set keySet) error {
	ids := make([]string, len(set.keys))
	for i, k := range set.keys {
		ids[i] = k.id
	}
	if _, err := tx.Exec(ctx, deleteOthersQuery, ids); err != nil {
		return err
	}
	for _, k := range set.keys {
		if _, err := tx.Exec(ctx, storeQuery, k.id, k.algorithm, k.sealed, k.createdAt, k.signsFrom, k.verifiesUntil); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, setVersionQuery, set.version)
	return err
}
