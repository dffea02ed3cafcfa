package keystore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// expiryMargin is how long a key outlives its last token: a margin for clocks,
// and for a database that lost its latest commits.
const expiryMargin = 24 * time.Hour

// Maintain does what is due: it publishes a new key if the present one has
// signed for [Config].RotateEvery, finds out until when replaced keys are
// needed, removes those that are no longer needed, and reseals with the sealer's
// first key what another one had sealed. It should be called about once an hour,
// by any replica; concurrent calls do the work once.
func (s *Store) Maintain(ctx context.Context) error {
	var made string
	var settled, expired, sealed int64
	err := s.change(ctx, func(tx pgx.Tx) (_ bool, err error) {
		if made, err = s.rotateIfDue(ctx, tx); err != nil {
			return false, err
		}
		if settled, err = s.settle(ctx, tx); err != nil {
			return false, err
		}
		tag, err := tx.Exec(ctx, expireQuery)
		if err != nil {
			return false, err
		}
		expired = tag.RowsAffected()
		sealed, err = s.sealAnew(ctx, tx)
		return made != "" || settled+expired+sealed > 0, err
	})
	if err != nil {
		return fmt.Errorf("maintain the signing keys: %w", err)
	}
	if made != "" {
		s.cfg.Logger.InfoContext(ctx, "made a signing key", "key", made, "signs_in", s.cfg.PublishAhead)
		for _, f := range s.onRotate {
			f(ctx, made)
		}
	}
	if expired+sealed > 0 {
		s.cfg.Logger.InfoContext(ctx, "tidied the signing keys", "expired", expired, "sealed_anew", sealed)
	}
	return nil
}

const dueQuery = `
SELECT NOT EXISTS (SELECT FROM "sessionStoreSigningKey" WHERE "signsFrom" > clock_timestamp() - $1::interval)`

func (s *Store) rotateIfDue(ctx context.Context, tx pgx.Tx) (made string, err error) {
	if s.cfg.RotateEvery == 0 {
		return "", nil
	}
	var due bool
	if err := tx.QueryRow(ctx, dueQuery, s.cfg.RotateEvery).Scan(&due); err != nil || !due {
		return "", err
	}
	return s.make(ctx, tx, s.cfg.PublishAhead)
}

// A pair's row has the day on which its refresh token expires, which is its last
// token: so the latest day of all rows is after the expiry of any token that was
// signed until now, and an index gives it at once. $3 is that of other databases, $4 since
// when a key signs that all of them have had for long enough. Citus accepts no clock_timestamp()
// in a condition.
const settleQuery = `
UPDATE "sessionStoreSigningKey" k SET "verifiesUntil" = $2::interval + GREATEST(statement_timestamp(),
  (SELECT (GREATEST(max("expiresOn"), $3::date) + 1)::timestamp AT TIME ZONE 'UTC' FROM "sessionStoreToken" WHERE "expiresOn" IS NOT NULL))
WHERE k."verifiesUntil" IS NULL AND EXISTS (
  SELECT FROM "sessionStoreSigningKey" next
  WHERE next."signsFrom" > k."signsFrom" AND next."signsFrom" <= LEAST(statement_timestamp() - $1::interval, $4::timestamptz))`

// settle finds out until when replaced keys are needed. While a database with sessions does not answer, or has not had
// the new keys for long enough, that is not known: a later call does it.
func (s *Store) settle(ctx context.Context, tx pgx.Tx) (settled int64, err error) {
	there, isKnown := s.askCopies(ctx)
	if !isKnown {
		return 0, nil
	}
	tag, err := tx.Exec(ctx, settleQuery, settleAfter, expiryMargin, there.last, there.signs)
	return tag.RowsAffected(), err
}

const expireQuery = `DELETE FROM "sessionStoreSigningKey" WHERE "verifiesUntil" <= statement_timestamp()`

const sealAnewQuery = `UPDATE "sessionStoreSigningKey" SET "sealed" = $2 WHERE "id" = $1`

// sealAnew reseals with the first sealing key what another one had sealed.
func (s *Store) sealAnew(ctx context.Context, tx pgx.Tx) (n int64, err error) {
	keys, err := s.unsealed(ctx, tx)
	if err != nil {
		return 0, err
	}
	for _, k := range keys {
		if k.current {
			continue
		}
		sealed, err := s.cfg.Sealer.Seal(k.jwk)
		if err != nil {
			return 0, err
		}
		if _, err := tx.Exec(ctx, sealAnewQuery, k.id, sealed); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
