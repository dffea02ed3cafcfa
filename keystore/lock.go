package keystore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
)

// Each change is notified on channel.
const channel = "latchkey_signing_keys"

// Every change of keys holds one lock, so that no decision rests on an outdated state. It does not lock the table:
// readers never wait.
const (
	lockQuery   = `SELECT pg_advisory_xact_lock(hashtextextended('latchkey signing keys', 0))`
	notifyQuery = `SELECT pg_notify('` + channel + `', '')`
)

const bumpQuery = `
INSERT INTO "sessionStoreSigningKeySet" ("version") VALUES ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
ON CONFLICT ("one") DO UPDATE SET "version" = GREATEST("sessionStoreSigningKeySet"."version" + 1, EXCLUDED."version")`

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
