package sessionstore

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// History is the life of a session, as far as its rows record it.
type History struct {
	// Session is the session, without its data and claims.
	Session Session
	// Refreshes is how often its tokens were refreshed.
	Refreshes int64
	// SupersededAt is when its access tokens were last superseded, because its claims were
	// replaced with [SetClaimsOptions].Supersede or [Store.Patch] shortened its lifetimes; zero
	// for never. Claims that take effect with the next refresh are not recorded here.
	SupersededAt time.Time
	// Replaces is the session whose place it took, as at a step-up or when a guest signed in,
	// until that is cleaned up; nil for none.
	Replaces *Predecessor
}

// Predecessor is a session whose place another took.
type Predecessor struct {
	ID uuid.UUID
	// Subject was its user; empty for a session without one.
	Subject string
}

// historyQuery finds a predecessor by the transaction that both created the session and
// ended the other.
const historyQuery = `
SELECT ` + sessionColumns + `, COALESCE(r."claims", ''), r."generation", r."supersededAt", o."id", o."subject", ` + endingColumns + `
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
LEFT JOIN LATERAL (
  SELECT "id", "subject" FROM "sessionStore"
  WHERE "revokedAt" = s."createdAt" AND "endReason" = '` + string(ReasonReplaced) + `' AND "endedBy" = s."id"::text LIMIT 1
) o ON true
` + endOfEra + `
WHERE s."id" = $1 AND ` + primary.Only + `
` + best

// History returns the life of a session, including an ended one until it is cleaned up,
// even if its data cannot be opened. An unknown id gives [ErrNotFound].
func (s *Store) History(ctx context.Context, id uuid.UUID) (h History, err error) {
	ctx = s.begin(ctx, OperationLoad)
	defer func() { s.end(ctx, Result{Operation: OperationLoad, Err: err}) }()

	var claims string
	var predecessor pgtype.UUID
	var subject string
	var end endingRow
	h.Session, err = scanSession(s.cfg.Tokens.ClientID, s.pool.QueryRow(ctx, historyQuery, pgvalue.UUID(id)), append([]any{
		&claims, &h.Refreshes, pgvalue.TimeTo(&h.SupersededAt), &predecessor, pgvalue.TextTo(&subject),
	}, end.dest()...)...)
	switch {
	case pgvalue.IsNoRows(err):
		return History{}, ErrNotFound
	case err != nil:
		return History{}, sessionerr.Unavailable("load a session's history", err)
	}
	if err := h.Session.readClaims(claims); err != nil {
		return History{}, err
	}
	if predecessor.Valid {
		h.Replaces = &Predecessor{predecessor.Bytes, subject}
	}
	h.Session.Checksum, h.Session.Claims = "", nil
	h.Session.noteEnding(end.ending())
	return h, nil
}
