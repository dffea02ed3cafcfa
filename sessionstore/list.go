package sessionstore

import (
	"context"
	"encoding/base64"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

const (
	defaultListLimit = 50
	maxListLimit     = 200
)

// ListParams selects a page of a list.
type ListParams struct {
	// Cursor is the previous page's NextCursor; empty for the first page.
	Cursor string
	// Limit is the most sessions in the page, up to 200. Zero means 50.
	Limit int
}

// Page is a part of a list.
type Page struct {
	// Sessions come newest first, without their data.
	Sessions []Session
	// NextCursor leads to the next page; it is empty after the last.
	NextCursor string
}

// Ids are made in the order of time, so they are both the order and the cursor.
const listQuery = `
SELECT ` + sessionColumns + `
FROM "sessionStore" s
CROSS JOIN LATERAL (
  SELECT r.* FROM "sessionStoreToken" r WHERE r."session" = s."id" AND r."refreshToken" IS NULL
  ` + best + `
) r
WHERE s."subject" = $1 AND s."revokedAt" IS NULL AND ($2::uuid IS NULL OR s."id" < $2) AND ` + live + ` AND ` + primary.Only + `
ORDER BY s."id" DESC
LIMIT $3`

// List returns a subject's live sessions, newest first. A cursor or a limit
// that is no good is an [ArgumentError].
func (s *Store) List(ctx context.Context, subject string, params ListParams) (_ Page, err error) {
	ctx = s.begin(ctx, OperationList)
	defer func() { s.end(ctx, Result{Operation: OperationList, Err: err}) }()

	if subject == "" {
		return Page{}, argumentError("subject", "must not be empty")
	}
	if err := checkText("subject", subject, maxSubjectBytes); err != nil {
		return Page{}, err
	}
	if params.Limit == 0 {
		params.Limit = defaultListLimit
	}
	if params.Limit < 1 || params.Limit > maxListLimit {
		return Page{}, argumentError("limit", "not between 1 and %d", maxListLimit)
	}
	after, err := parseCursor(params.Cursor)
	if err != nil {
		return Page{}, err
	}
	// One more than wanted tells whether there is a next page.
	var sessions []Session
	if err := s.pool.Read(ctx, func(rows pgx.Rows) (err error) {
		sessions, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Session, error) {
			session, err := scanSession(row)
			session.Checksum = ""
			return session, err
		})
		return err
	}, listQuery, subject, after, params.Limit+1); err != nil {
		return Page{}, sessionerr.Unavailable("list sessions", err)
	}
	page := Page{Sessions: sessions}
	if len(sessions) > params.Limit {
		page.Sessions = sessions[:params.Limit]
		page.NextCursor = formatCursor(page.Sessions[params.Limit-1].ID)
	}
	return page, nil
}

func formatCursor(id uuid.UUID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func parseCursor(cursor string) (*uuid.UUID, error) {
	if cursor == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	// Base64 has other spellings: the decoder passes over line breaks.
	if err != nil || len(raw) != len(uuid.UUID{}) || formatCursor(uuid.UUID(raw)) != cursor {
		return nil, argumentError("cursor", "not a cursor that a list gave")
	}
	id := uuid.UUID(raw)
	return &id, nil
}
