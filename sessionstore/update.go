package sessionstore

import (
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

const updateQuery = `
UPDATE "sessionStore" s SET "data" = $3, "checksum" = $4, "updatedAt" = now()
FROM "sessionStoreToken" r
WHERE s."id" = $1 AND s."checksum" = $2 AND r."session" = s."id" AND r."refreshToken" IS NULL AND ` + live

const updateStateQuery = `
SELECT s."checksum", CASE WHEN $2 THEN s."data" END, ` + live + `
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1
` + best

// Update replaces a session's data and returns the new checksum. checksum is
// the one that was read with the data: if the stored data is no longer that,
// the error is a [ConflictError] and nothing is written. If the new data has
// the same checksum there is nothing to write, and no call to the database is
// made: Update may be called at the end of every request.
//
// Where the store has a [Sealer], data that equals what is stored is written all
// the same if it was not sealed with the present key.
//
// Other errors are [ArgumentError], [ErrNotFound] and [ErrEnded], and a
// [SealedError] if only a key that is missing would tell whether it is a conflict.
func (s *Store) Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (_ string, err error) {
	var changed uuid.UUID
	ctx = s.begin(ctx, OperationUpdate)
	defer func() { s.end(ctx, Result{Operation: OperationUpdate, Err: err, Changed: changed}) }()

	content, err := canonicalForm(data)
	if err != nil {
		return "", err
	}
	next := s.data.sum(id, content)
	if next == checksum {
		return next, nil
	}
	stored, err := s.data.stored(id, data)
	if err != nil {
		return "", err
	}
	for {
		tag, err := s.pool.Exec(ctx, updateQuery, pgvalue.UUID(id), checksum, stored, next)
		if err != nil {
			return "", sessionerr.Unavailable("update a session", err)
		}
		if tag.RowsAffected() == 1 {
			changed = id
			return next, nil
		}
		var current string
		var currentData []byte
		var isLive bool
		err = s.pool.QueryRow(ctx, updateStateQuery, pgvalue.UUID(id), s.cfg.Sealer != nil).Scan(&current, &currentData, &isLive)
		switch {
		case pgvalue.IsNoRows(err):
			return "", ErrNotFound
		case err != nil:
			return "", sessionerr.Unavailable("update a session", err)
		case !isLive:
			return "", ErrEnded
		case current != checksum:
			same, err := s.data.wasRead(id, checksum, currentData)
			if err != nil {
				return "", err
			}
			if !same {
				return "", &ConflictError{Checksum: current}
			}
		}
		// Between the two statements somebody wrote the data that the caller
		// had read, or it was sealed anew since: neither is a conflict.
		checksum = current
	}
}
