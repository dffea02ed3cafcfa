package sessionstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/latchkey-sessions/latchkey/internal/canonical"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// maxIdempotencyKeyBytes leaves a caller room for the name of whom a key is of.
const maxIdempotencyKeyBytes = 1024

// A creation with an idempotency key is one transaction and one round trip: a session
// is made unless one has the key, and then gets it. Of two who do so at once the second
// waits for the first, violates the index, and has made nothing. Creations without a
// key are not concerned.
const (
	createOnceQuery = `
WITH "new" AS (
  ` + newSession + `
  WHERE NOT EXISTS (SELECT FROM "sessionStore" WHERE "creationKey" = $18)
), ` + createRows

	nameCreationQuery = `UPDATE "sessionStore" SET "creationKey" = $2, "creationDigest" = $3 WHERE "id" = $1`

	creationKeyIndex = "sessionStoreCreationKeyIdx"
)

// errCreatedBefore says that a session has the creation's key.
var errCreatedBefore = errors.New("the session was created before")

// once is what tells a creation from others, where its caller has given it a key.
type once struct {
	key     []byte // hashed: it is of one length, and tells nobody what it was
	request []byte // what was asked for, in one form
}

// newOnce is zero without a key. The content is that of the data, the claims are the
// session's own, both in canonical form, which has no line break.
// A parameter that is added to the request must not be there where it is zero, or a
// creation is another one after an upgrade.
func newOnce(params CreateParams, content []byte, claims string) once {
	if params.IdempotencyKey == "" {
		return once{}
	}
	key, own, client := sha256.Sum256([]byte(params.IdempotencyKey)), params.Lifetimes, params.Client.clean()
	request := fmt.Appendf(nil, "%q %q %q %q %q %d %d %d ", params.Subject, client.Label, client.UserAgent, client.IP, params.KeyThumbprint,
		own.AccessToken, own.RefreshToken, own.Session)
	request = append(request, content...)
	if claims != "" {
		request = append(append(request, '\n'), claims...)
	}
	if params.ClientID != "" {
		request = fmt.Appendf(request, "\nclient %q", params.ClientID)
	}
	return once{key[:], request}
}

// name continues a batch that makes a session: it gives it the key.
func (s sealing) name(batch *pgx.Batch, c *creation) {
	batch.Queue(nameCreationQuery, pgvalue.UUID(c.session.ID), c.once.key, s.sum(c.session.ID, c.once.request))
}

// isSame tells whether the digest of a session is that of the request. Like a
// checksum it takes a key to make where data is sealed.
func (s sealing) isSame(session uuid.UUID, request []byte, digest string) bool {
	if canonical.Sum(request) == digest {
		return true
	}
	sum, err := canonical.SumEncoding.DecodeString(digest)
	return err == nil && s.Sealer != nil && s.IsSum(session, request, sum)
}

// isTaken tells whether a session that was being made at the same time has the key.
func isTaken(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && answer.ConstraintName == creationKeyIndex
}

// createOnce makes a session unless one was made with the same key: then the error is
// errCreatedBefore.
func (s *Store) createOnce(ctx context.Context, c *creation) error {
	var now, expiresAt, accessExpiresAt time.Time
	made := false
	batch := &pgx.Batch{}
	batch.Queue(createOnceQuery, append(c.args(), c.once.key)...).QueryRow(func(row pgx.Row) error {
		var id [16]byte
		err := row.Scan(&id, &now, &expiresAt, &accessExpiresAt)
		if made = err == nil; pgvalue.IsNoRows(err) {
			return nil
		}
		return err
	})
	s.data.name(batch, c)
	switch err := s.pool.SendBatch(ctx, batch).Close(); {
	case isTaken(err), err == nil && !made:
		return errCreatedBefore
	case err != nil:
		return sessionerr.Unavailable("create a session", err)
	}
	c.at(now, expiresAt, accessExpiresAt)
	return nil
}

const createdBeforeQuery = `
SELECT ` + sessionColumns + `, s."data", COALESCE(s."creationDigest", ''), r."id", ` + live + `
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."creationKey" = $1 AND ` + primary.Only + `
` + best

// createdBefore returns the session that has the creation's key, with its present
// pair. That is the first one unless somebody has refreshed it, and so has had an answer.
func (s *Store) createdBefore(ctx context.Context, c *creation) (Session, TokenPair, error) {
	fail := func(err error) (Session, TokenPair, error) { return Session{}, TokenPair{}, err }
	var data []byte
	var digest string
	var row uuid.UUID
	var isLive bool
	session, err := scanSession(s.cfg.Tokens.ClientID, s.pool.QueryRow(ctx, createdBeforeQuery, c.once.key), &data, &digest, (*[16]byte)(&row), &isLive)
	switch {
	case err != nil: // also where it has been removed meanwhile: the next call makes another
		return fail(sessionerr.Unavailable("find a session that was created before", err))
	case !s.data.isSame(session.ID, c.once.request, digest):
		return fail(ErrIdempotencyKeyReused)
	case !isLive:
		return fail(ErrEnded)
	}
	if session.Data, err = s.data.open(session.ID, data); err != nil {
		return fail(err)
	}
	var p refresh.Pair
	var now time.Time
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		p, now, err = lockPair(ctx, tx, tokens.Claims{SessionID: session.ID, TokenID: row})
		return err
	})
	switch {
	case err != nil:
		return fail(sessionerr.Unavailable("read a session that was created before", err))
	case p.Revoked:
		return fail(ErrEnded)
	}
	session.Claims = claimsOrNil(p.Claims)
	pair, err := s.tokens.sign(p, now)
	return session, pair, err
}
