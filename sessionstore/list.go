package sessionstore

import (
	"context"
	"encoding/base64"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
)

// DefaultListLimit is how many sessions a page of a list has unless [ListParams] says
// otherwise, and MaxListLimit is the most that it may say.
const (
	DefaultListLimit = 50
	MaxListLimit     = 200
)

// ListParams selects a page of a list.
type ListParams struct {
	// Cursor is the previous page's NextCursor; empty for the first page.
	Cursor string
	// Limit is the maximum number of sessions on the page, up to 200. Zero means 50.
	Limit int
}

func (p ListParams) limit() (int, error) {
	switch {
	case p.Limit == 0:
		return DefaultListLimit, nil
	case p.Limit < 1 || p.Limit > MaxListLimit:
		return 0, argumentError("limit", "not between 1 and %d", MaxListLimit)
	}
	return p.Limit, nil
}

// Page is a part of a list.
type Page struct {
	// Sessions are ordered newest first, without their data. There may be fewer than the
	// limit, or none, although more follow: a page skips at most 50 sessions that have
	// expired and await cleanup, and a search reads 500.
	Sessions []Session
	// NextCursor leads to the next page; it is empty after the last.
	NextCursor string
}

const (
	// passedOver is how many expired sessions a page skips. Any number may await cleanup,
	// and a page must not cost more than a few sessions do.
	passedOver = 50
	// searchReach is how many sessions a page of search results is chosen from.
	searchReach = 500
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
