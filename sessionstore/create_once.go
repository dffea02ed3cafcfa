package sessionstore

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// createOnce makes a session unless one was made with the same key, or the one to
// replace cannot be replaced: then the error is errCreatedBefore.
func (s *Store) createOnce(ctx context.Context, c *creation) error {
	var given granted
	made := false
	batch := &pgx.Batch{}
	c.lockReplaced(batch)
	batch.Queue(createOnceQuery, append(append(c.args(), c.once.key), c.replaced.args()...)...).QueryRow(func(row pgx.Row) error {
		var id [16]byte
		err := row.Scan(append([]any{&id}, given.dest()...)...)
		if made = err == nil; pgvalue.IsNoRows(err) {
			return nil
		}
		return err
	})
	s.data.name(batch, c)
	from := c.endReplaced(batch)
	switch err := s.pool.SendBatch(ctx, batch).Close(); {
	case isTaken(err), err == nil && !made:
		return errCreatedBefore
	case err != nil:
		return sessionerr.Unavailable("create a session", err)
	}
	c.is(given)
	c.got(from)
	return nil
}

const createdBeforeQuery = `
SELECT ` + sessionColumns + `, s."data", COALESCE(s."creationDigest", ''), r."id", ` + live + `
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."creationKey" = $1 AND ($2::interval IS NULL OR s."createdAt" > now() - $2) AND ` + primary.Only + `
` + best

// createdBefore returns the session that has the creation's key, with its present
// pair. That is the first pair unless the session has been refreshed, and so an earlier
// answer arrived. A replacement is known by the session that it replaces only for a
// while, and only to the same request.
func (s *Store) createdBefore(ctx context.Context, o once) (Session, TokenPair, error) {
	fail := func(err error) (Session, TokenPair, error) { return Session{}, TokenPair{}, err }
	var data []byte
	var digest string
	var row uuid.UUID
	var isLive bool
	var within *time.Duration
	if o.isImplicit() {
		within = new(refresh.FreshGraces * s.cfg.Grace)
	}
	session, err := scanSession(s.cfg.Tokens.ClientID, s.pool.QueryRow(ctx, createdBeforeQuery, o.key, within), &data, &digest, (*[16]byte)(&row), &isLive)
	isSame := err == nil && s.data.isSame(session.ID, o.request, digest)
	switch {
	case o.replaces && pgvalue.IsNoRows(err), o.isImplicit() && err == nil && (!isSame || !isLive):
		return fail(errNotBefore)
	case pgvalue.IsNoRows(err): // cleanup was faster
		return fail(ErrEnded)
	case err != nil:
		return fail(sessionerr.Unavailable("find a session that was created before", err))
	case !isSame:
		return fail(ErrIdempotencyKeyReused)
	case !isLive:
		return fail(ErrEnded)
	}
	if session.Data, err = s.data.open(session.ID, data); err != nil {
		return fail(err)
	}
	p, now, err := lockPair(ctx, s.pool, tokens.Claims{SessionID: session.ID, TokenID: row})
	switch {
	case pgvalue.IsNoRows(err), err == nil && p.Revoked:
		return fail(ErrEnded)
	case err != nil:
		return fail(sessionerr.Unavailable("read a session that was created before", err))
	}
	if err := session.readClaims(p.Claims); err != nil {
		return fail(err)
	}
	pair, err := s.tokens.sign(p, now)
	return session, pair, err
}
