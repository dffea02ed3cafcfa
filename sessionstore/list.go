package sessionstore

import (
	"context"
	"encoding/base64"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
)

// Ids are in chronological order, so they are both the order and the cursor.
var listQuery = pageQuery(`SELECT `+pageColumns+`
    FROM "sessionStore" WHERE `+ofSubject+` AND "revokedAt" IS NULL`, subjectsNewestFirst, live)

// List returns a subject's live sessions, newest first. An invalid cursor or
// limit is an [ArgumentError].
func (s *Store) List(ctx context.Context, subject string, params ListParams) (_ Page, err error) {
	ctx = s.begin(ctx, OperationList)
	defer func() { s.end(ctx, Result{Operation: OperationList, Err: err}) }()

	if subject == "" {
		return Page{}, argumentError("subject", "must not be empty")
	}
	if err := checkText("subject", subject, maxSubjectBytes); err != nil {
		return Page{}, err
	}
	before, err := parseCursor(params.Cursor)
	if err != nil {
		return Page{}, err
	}
	return s.page(ctx, FindParams{ListParams: params}, listQuery, idCursor, pgvalue.UUID(before), subject)
}

var errCursor = argumentError("cursor", "not a cursor from this list")

func formatCursor(id uuid.UUID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// parseCursor returns the position after which a page begins: the greatest id for the first
// page.
func parseCursor(cursor string) (uuid.UUID, error) {
	if cursor == "" {
		return uuid.Max, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	// Base64 has other spellings: the decoder passes over line breaks.
	if err != nil || len(raw) != len(uuid.UUID{}) || formatCursor(uuid.UUID(raw)) != cursor {
		return uuid.Nil, errCursor
	}
	return uuid.UUID(raw), nil
}

func idCursor(s Session) string { return formatCursor(s.ID) }
