package sessionstore

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/canonical"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

const (
	// resealBatch is how many rows are read, and at most written, at once: a
	// few milliseconds of work, so no caller waits long.
	resealBatch = 200
	// countBatch is how many rows are counted at once. None of their data is sent.
	countBatch = 5000
	// longestRest is the longest pause after a batch.
	longestRest = time.Second
	// resealTimeout ends a statement that a lock or the disk delays.
	resealTimeout = `SET LOCAL statement_timeout = '30s'`
)

// Reseal says how stored session data is resealed.
type Reseal struct {
	// Unseal removes the seals instead, with the keys of the store's Sealer.
	Unseal bool
	// Progress, if set, is called with the progress so far, after each batch. It must
	// not wait.
	Progress func(Resealed)
}

// Resealed says what happened to the rows.
type Resealed struct {
	// Rows is how many were looked at.
	Rows int64
	// Written is how many were resealed, or unsealed.
	Written int64
	// Changed is how many were written or removed meanwhile. They were not changed: every write seals its data.
	Changed int64
	// Unreadable is how many cannot be opened. They were not changed either.
	Unreadable int64
	// Reason is why the first of those cannot be opened: a [SealedError].
	Reason error
}

// Data that is as it should be is not sent. $3 is the prefix of sealed data, or
// empty to unseal it.
const readSealedQuery = `
SELECT "id", "checksum", CASE
  WHEN jsonb_typeof("data") <> 'string' AND $3::text = '' THEN NULL
  WHEN jsonb_typeof("data") = 'string' AND $3 <> '' AND starts_with("data" #>> '{}', $3) THEN NULL
  ELSE "data" END
FROM "sessionStore" WHERE "id" > $1 ORDER BY "id" LIMIT $2`

// Rows that were changed since they were read are left out, including those
// changed while this waits for them. They are locked in the order of their ids,
// like all locks of several rows. "updatedAt" stays: the data is the same.
const resealQuery = `
WITH "new" AS (
  SELECT * FROM unnest((SELECT $1::uuid[]), (SELECT $2::text[]), (SELECT $3::text[]), (SELECT $4::jsonb[])) AS a("id", "was", "checksum", "data")
), "target" AS MATERIALIZED (
  SELECT s."id" FROM "sessionStore" s JOIN "new" n ON n."id" = s."id" AND n."was" = s."checksum"
  ORDER BY s."id" FOR NO KEY UPDATE OF s
)
UPDATE "sessionStore" s SET "checksum" = n."checksum", "data" = n."data"
FROM "target" t JOIN "new" n ON n."id" = t."id"
WHERE s."id" = t."id"`

// Reseal walks through all sessions, including ended ones, and seals everything
// that the current key has not sealed: unsealed data, and data that an earlier key
// sealed. It works in batches alongside requests, whose changes it never
// overwrites, and pauses after each for as long as it took. Stopping it loses
// nothing: the next run skips what is done.
//
// The data stays the same, and so does "updatedAt". Its checksum changes, but
// [Store.Update] still takes the one that was read before.
func (s *Store) Reseal(ctx context.Context, params Reseal) (Resealed, error) {
	var done Resealed
	if s.cfg.Sealer == nil {
		return done, errors.New("sessionstore: there is no Sealer")
	}
	for after := uuid.Nil; ; {
		start := time.Now() //nolint:forbidigo // a pause decides nothing
		batch, err := s.readSealed(ctx, after, params.Unseal)
		if err != nil {
			return done, err
		}
		if len(batch) == 0 {
			return done, nil
		}
		after = batch[len(batch)-1].id
		wrote, err := s.resealRows(ctx, batch, params.Unseal, &done)
		if err != nil {
			return done, err
		}
		done.Rows += int64(len(batch))
		if params.Progress != nil {
			params.Progress(done)
		}
		if !wrote {
			continue
		}
		select {
		case <-time.After(min(time.Since(start), longestRest)): //nolint:forbidigo // a pause decides nothing
		case <-ctx.Done():
			return done, ctx.Err()
		}
	}
}

// sealedRow is a session's data as stored, and its replacement.
type sealedRow struct {
	id       uuid.UUID
	was      string // the checksum
	stored   []byte // nil if it is as it should be
	checksum string
	next     []byte
}

func (s *Store) readSealed(ctx context.Context, after uuid.UUID, unseal bool) ([]sealedRow, error) {
	prefix := ""
	if !unseal {
		prefix = sealedWith(s.cfg.Sealer.Key())
	}
	rows, err := s.pool.Query(ctx, readSealedQuery, pgvalue.UUID(after), resealBatch, prefix)
	if err != nil {
		return nil, sessionerr.Unavailable("reseal data", err)
	}
	batch, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r sealedRow, err error) {
		err = row.Scan((*[16]byte)(&r.id), &r.was, &r.stored)
		return r, err
	})
	if err != nil {
		return nil, sessionerr.Unavailable("reseal data", err)
	}
	return batch, nil
}

// resealRows writes those rows of a batch that need it, and reports whether there were
// any.
func (s *Store) resealRows(ctx context.Context, batch []sealedRow, unseal bool, done *Resealed) (wrote bool, err error) {
	var ids []pgtype.UUID
	var was, checksums []string
	var data [][]byte
	for _, r := range batch {
		if r.stored == nil {
			continue
		}
		err := s.resealed(&r, unseal)
		if sealed, ok := errors.AsType[*SealedError](err); ok {
			if done.Unreadable++; done.Reason == nil {
				done.Reason = sealed
			}
			continue
		}
		if err != nil {
			return false, err
		}
		ids, was, checksums, data = append(ids, pgvalue.UUID(r.id)), append(was, r.was), append(checksums, r.checksum), append(data, r.next)
	}
	if len(ids) == 0 {
		return false, nil
	}
	var written int64
	statements := &pgx.Batch{}
	statements.Queue(resealTimeout)
	statements.Queue(resealQuery, ids, was, checksums, data).Exec(func(tag pgconn.CommandTag) error {
		written = tag.RowsAffected()
		return nil
	})
	if err := s.pool.SendBatch(ctx, statements).Close(); err != nil {
		return false, sessionerr.Unavailable("reseal data", err)
	}
	done.Written += written
	done.Changed += int64(len(ids)) - written
	return true, nil
}

// resealed fills in the row's new values. The error is a [SealedError] if its data
// cannot be opened.
func (s *Store) resealed(r *sealedRow, unseal bool) error {
	data, err := s.data.open(r.id, r.stored)
	if err != nil {
		return err
	}
	content, err := canonicalForm(data)
	if err != nil {
		// Compas may have stored what would not be accepted here, such as longer
		// data. Then its checksum only has to be unique.
		content = bytes.Clone(data)
	}
	if unseal {
		r.checksum, r.next = canonical.Sum(content), data
		return nil
	}
	r.checksum = s.data.sum(r.id, content)
	r.next, err = s.data.stored(r.id, data)
	return err
}

const countSealedQuery = `
SELECT CASE WHEN ` + isSealedData + ` THEN left(split_part("data" #>> '{}', ':', 2), 64) ELSE '' END AS "key",
  count(*), (array_agg("id" ORDER BY "id" DESC))[1]
FROM (SELECT "id", "data" FROM "sessionStore" WHERE "id" > $1 ORDER BY "id" LIMIT $2) s
GROUP BY "key"`

// CountSealed counts the sessions by the key that their data is sealed with; those
// under the empty name are not sealed. It needs no key. progress, if set, is
// called with the number counted so far.
func (s *Store) CountSealed(ctx context.Context, progress func(rows int64)) (map[string]int64, error) {
	counts := map[string]int64{}
	var total int64
	for after := uuid.Nil; ; {
		rows, err := s.pool.Query(ctx, countSealedQuery, pgvalue.UUID(after), countBatch)
		if err != nil {
			return nil, sessionerr.Unavailable("count sealed data", err)
		}
		var key string
		var n, found int64
		var last uuid.UUID
		_, err = pgx.ForEachRow(rows, []any{&key, &n, (*[16]byte)(&last)}, func() error {
			counts[key] += n
			found += n
			if bytes.Compare(last[:], after[:]) > 0 {
				after = last
			}
			return nil
		})
		if err != nil {
			return nil, sessionerr.Unavailable("count sealed data", err)
		}
		if total += found; progress != nil {
			progress(total)
		}
		if found < countBatch {
			return counts, nil
		}
	}
}

// The newest ones answer at the cost of a few rows: they were sealed last. Data of ended sessions does not count as a
// loss.
const newestSealedQuery = `
SELECT "id", "data" FROM (SELECT "id", "data", "revokedAt" FROM "sessionStore" ORDER BY "id" DESC LIMIT 20) s
WHERE jsonb_typeof("data") = 'string' AND "revokedAt" IS NULL
  AND EXISTS (SELECT FROM "sessionStoreToken" t WHERE t."session" = s."id" AND t."revokedAt" IS NULL AND t."expiresAt" > now())`

// CheckSealer opens the newest live sessions' data, as far as it is sealed. A
// [SealedError] says that the store lacks a key which other programs seal with.
func (s *Store) CheckSealer(ctx context.Context) error {
	var id [16]byte
	var stored []byte
	rows, _ := s.pool.Query(ctx, newestSealedQuery) // rows have its error
	_, err := pgx.ForEachRow(rows, []any{&id, &stored}, func() error {
		_, err := s.data.open(id, stored)
		return err
	})
	if _, sealed := errors.AsType[*SealedError](err); err == nil || sealed {
		return err
	}
	return sessionerr.Unavailable("check the sealer", err)
}

// UnsealedReads returns how often unsealed data was read although the store has a
// Sealer: data of earlier sessions, or put there by someone who can write to the
// database. Once all data has been sealed, [Config].SealedOnly refuses it.
func (s *Store) UnsealedReads() int64 { return s.data.plain.Load() }
