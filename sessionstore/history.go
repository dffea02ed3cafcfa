package sessionstore

import (
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// History is the life of a session, as far as its rows tell.
type History struct {
	// Session is without its data and claims.
	Session Session
	// Refreshes is how often its tokens were refreshed.
	Refreshes int64
}

const historyQuery = `
SELECT ` + sessionColumns + `, COALESCE(r."claims", ''), r."generation", ` + endingColumns + `
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1 AND ` + primary.Only + `
` + best

// History returns the life of a session, including an ended one until it is cleaned up,
// even if its data cannot be opened. An unknown id is [ErrNotFound].
func (s *Store) History(ctx context.Context, id uuid.UUID) (h History, err error) {
	ctx = s.begin(ctx, OperationLoad)
	defer func() { s.end(ctx, Result{Operation: OperationLoad, Err: err}) }()

	var claims string
	var end endingRow
	h.Session, err = scanSession(s.cfg.Tokens.ClientID, s.pool.QueryRow(ctx, historyQuery, pgvalue.UUID(id)), append([]any{&claims, &h.Refreshes}, end.dest()...)...)
	switch {
	case pgvalue.IsNoRows(err):
		return History{}, ErrNotFound
	case err != nil:
		return History{}, sessionerr.Unavailable("load a session's history", err)
	}
	if err := h.Session.readClaims(claims); err != nil {
		return History{}, err
	}
	h.Session.Checksum, h.Session.Claims, h.Session.Ended = "", nil, end.ending()
	return h, nil
}
