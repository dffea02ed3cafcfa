package keystore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const listQuery = `
SELECT ` + keyColumns + ` FROM "sessionStoreSigningKey"
WHERE "verifiesUntil" IS NULL OR "verifiesUntil" > clock_timestamp()
ORDER BY "signsFrom" DESC, "id" DESC`

// List returns the keys, the newest first. It opens none.
func (s *Store) List(ctx context.Context) ([]Key, error) {
	rows, err := s.pool.Query(ctx, listQuery)
	if err != nil {
		return nil, fmt.Errorf("list the signing keys: %w", err)
	}
	keys, err := pgx.CollectRows(rows, scanKey)
	if err != nil {
		return nil, fmt.Errorf("list the signing keys: %w", err)
	}
	return keys, nil
}
