package sessionstore

import (
	"context"
	"encoding/base64"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
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
	// Sessions come newest first, without their data. There may be fewer than the limit,
	// or none, although more follow: of a subject with very many sessions that have expired
	// and are still to be cleaned up, a page is chosen from 500.
	Sessions []Session
	// NextCursor leads to the next page; it is empty after the last.
	NextCursor string
}

// listReach is how many sessions a page is chosen from. Those that have expired and are
// still to be cleaned up may be any number, and a page that passes over them all could
// cost as much as the table.
const listReach = 500

// Ids are made in the order of time, so they are both the order and the cursor. The
// sessions are read one by one until the page is full. The last one within reach
// comes also if it is not live: it is where the next page begins.
const listQuery = `
SELECT ` + sessionColumns + `, ` + live + `, s."n" = $4
FROM (
  SELECT s.*, row_number() OVER (ORDER BY s."id" DESC) AS "n"
  FROM (
    SELECT "id", "subject", "checksum", "clientLabel", "clientUserAgent", "clientIp", "createdAt", "updatedAt", "revokedAt"
    FROM "sessionStore" WHERE "subject" = $1 AND "revokedAt" IS NULL AND "id" < $2 ORDER BY "id" DESC LIMIT $4
  ) s
) s
LEFT JOIN LATERAL (
  SELECT r.* FROM "sessionStoreToken" r WHERE r."session" = s."id" AND r."refreshToken" IS NULL
  ` + best + `
) p ON true
CROSS JOIN LATERAL (
  SELECT p."issuedAt", COALESCE(p."expiresAt", 'epoch') AS "expiresAt", p."revokedAt", p."clientUserAgent", p."clientIp", p."client"
) r
WHERE (` + live + ` OR s."n" = $4) AND ` + primary.Only + `
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
	before := uuid.Max
	if after != nil {
		before = *after
	}
	var page Page
	// One more than wanted tells whether there is a next page.
	if err := s.pool.Read(ctx, func(rows pgx.Rows) error {
		page = Page{}
		var isLive, isLast bool
		for rows.Next() {
			session, err := scanSession(s.cfg.Tokens.ClientID, rows, &isLive, &isLast)
			if err != nil {
				return err
			}
			if len(page.Sessions) == params.Limit {
				page.NextCursor = formatCursor(page.Sessions[params.Limit-1].ID)
				continue
			}
			if isLive {
				session.Checksum = ""
				page.Sessions = append(page.Sessions, session)
			}
			if isLast {
				page.NextCursor = formatCursor(session.ID)
			}
		}
		return rows.Err()
	}, listQuery, subject, pgvalue.UUID(before), params.Limit+1, listReach); err != nil {
		return Page{}, sessionerr.Unavailable("list sessions", err)
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
