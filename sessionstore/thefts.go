package sessionstore

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// TheftPage is a part of the list of thefts.
type TheftPage struct {
	// Thefts are ordered latest first, for as long as their sessions are kept. For one
	// that was noticed by an earlier release, only the members SessionID, Subject, Theft
	// and DetectedAt are known.
	Thefts []LeakReport
	// NextCursor leads to the next page; it is empty after the last.
	NextCursor string
}

const theftColumns = `"id", COALESCE("subject", ''), COALESCE("endedBy", ''), "revokedAt", "theft"`

var (
	theftsQuery = `
SELECT ` + theftColumns + ` FROM "sessionStore"
WHERE "endReason" = '` + string(ReasonTheft) + `' AND ("revokedAt", "id") < ($1::timestamptz, $2::uuid) AND ` + primary.Only + `
ORDER BY "revokedAt" DESC, "id" DESC LIMIT $3`

	theftQuery = `
SELECT ` + theftColumns + ` FROM "sessionStore"
WHERE "id" = $1 AND "endReason" = '` + string(ReasonTheft) + `' AND "revokedAt" IS NOT NULL AND ` + primary.Only
)

// Thefts returns the thefts that ended sessions, latest first. An invalid cursor or limit is
// an [ArgumentError].
func (s *Store) Thefts(ctx context.Context, params ListParams) (page TheftPage, err error) {
	ctx = s.begin(ctx, OperationList)
	defer func() { s.end(ctx, Result{Operation: OperationList, Err: err}) }()

	limit, err := params.limit()
	if err != nil {
		return TheftPage{}, err
	}
	before, id, err := parseTimeCursor(params.Cursor)
	if err != nil {
		return TheftPage{}, err
	}
	read := func(rows pgx.Rows) (err error) {
		page.Thefts, err = pgx.CollectRows(rows, scanTheft)
		return err
	}
	if err := s.pool.Read(ctx, read, theftsQuery, before, pgvalue.UUID(id), limit+1); err != nil {
		return TheftPage{}, sessionerr.Unavailable("list thefts", err)
	}
	if len(page.Thefts) > limit {
		page.Thefts = page.Thefts[:limit]
		last := page.Thefts[limit-1]
		page.NextCursor = formatTimeCursor(last.DetectedAt, last.SessionID)
	}
	return page, nil
}

// Theft returns the theft that ended a session, or [ErrNotFound].
func (s *Store) Theft(ctx context.Context, sessionID uuid.UUID) (report LeakReport, err error) {
	ctx = s.begin(ctx, OperationLoad)
	defer func() { s.end(ctx, Result{Operation: OperationLoad, Err: err}) }()

	read := func(rows pgx.Rows) (err error) {
		report, err = pgx.CollectExactlyOneRow(rows, scanTheft)
		return err
	}
	switch err := s.pool.Read(ctx, read, theftQuery, pgvalue.UUID(sessionID)); {
	case pgvalue.IsNoRows(err):
		return LeakReport{}, ErrNotFound
	case err != nil:
		return LeakReport{}, sessionerr.Unavailable("load a theft", err)
	}
	return report, nil
}

// scanTheft takes the time from the session: that is what the list is ordered by.
func scanTheft(row pgx.CollectableRow) (LeakReport, error) {
	var id uuid.UUID
	var subject, kind string
	var at time.Time
	var kept *LeakReport
	if err := row.Scan((*[16]byte)(&id), &subject, &kind, &at, &kept); err != nil {
		return LeakReport{}, err
	}
	report := pgvalue.OrZero(kept)
	report.SessionID, report.Subject, report.Theft, report.DetectedAt = id, subject, Theft(kind), at
	return report, nil
}
