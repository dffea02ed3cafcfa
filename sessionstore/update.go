package sessionstore

import (
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

const versionQuery = `
SELECT s."checksum", CASE WHEN $2 THEN s."data" END, ` + live + `
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1 AND ` + primary.Only + `
` + best

// Update replaces a session's data and returns the new checksum. checksum is
// the one that was read with the data: if the stored data is no longer that,
// the error is a [ConflictError] and nothing is written. If the new data has
// the same checksum there is nothing to write, and the database is not called:
// Update may be called at the end of every request.
//
// If the store has a [Sealer], unchanged data is still written if it was not
// sealed with the present key.
//
// Other errors are [ArgumentError], [ErrNotFound] and [ErrEnded], and a [SealedError] if only a missing key could show
// whether there is a conflict.
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
	answered, err := s.writings.Do(ctx, writing{id: id, checksum: checksum, next: next, stored: stored})
	w := &answered.Of
	for err == nil && !w.written {
		// The session is locked, or someone has since written the same data that the
		// caller had read, or it was resealed: none of these is a conflict.
		if w.checksum, err = s.version(ctx, id, w.checksum); err != nil {
			return "", err
		}
		err = write(ctx, s.pool, w)
	}
	if err != nil {
		return "", sessionerr.Unavailable("update a session", err)
	}
	changed = id
	return next, nil
}

// CheckVersion reports whether a live session's data is still what was read with
// the checksum. It is for callers of [Store.Update] that need to know this even if
// there was nothing to write. The errors are those of Update.
func (s *Store) CheckVersion(ctx context.Context, id uuid.UUID, checksum string) (err error) {
	ctx = s.begin(ctx, OperationLoad)
	defer func() { s.end(ctx, Result{Operation: OperationLoad, Err: err}) }()

	_, err = s.version(ctx, id, checksum)
	return err
}

// version returns the data's current checksum, which differs from the one read
// if it was resealed since.
func (s *Store) version(ctx context.Context, id uuid.UUID, checksum string) (current string, err error) {
	var data []byte
	var isLive bool
	err = s.pool.QueryRow(ctx, versionQuery, pgvalue.UUID(id), s.cfg.Sealer != nil).Scan(&current, &data, &isLive)
	switch {
	case pgvalue.IsNoRows(err):
		return "", ErrNotFound
	case err != nil:
		return "", sessionerr.Unavailable("read a session's version", err)
	case !isLive:
		return "", ErrEnded
	case current == checksum:
		return current, nil
	}
	switch same, err := s.data.wasRead(id, checksum, data); {
	case err != nil:
		return "", err
	case !same:
		return "", &ConflictError{Checksum: current}
	}
	return current, nil
}
