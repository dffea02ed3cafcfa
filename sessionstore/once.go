package sessionstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
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
  WHERE NOT EXISTS (SELECT FROM "sessionStore" WHERE "creationKey" = $18) AND ` + mayReplace + `
), ` + createRows

	nameCreationQuery = `UPDATE "sessionStore" SET "creationKey" = $2, "creationDigest" = $3 WHERE "id" = $1`

	creationKeyIndex = "sessionStoreCreationKeyIdx"

	uniqueViolation = "23505"
)

var (
	// errCreatedBefore says that a session has the creation's key, or that the one that
	// it replaces cannot be replaced.
	errCreatedBefore = errors.New("the session was created before")

	// errNotBefore says that no session has a replacement's key.
	errNotBefore = errors.New("the session was not created before")
)

// once is what tells a creation from others, where its caller has given it a key. A
// replacement always has one: without a key of its caller's, it is the id of the session
// that it replaces.
type once struct {
	key      []byte // hashed: it is of one length, and tells nobody what it was; or an id
	request  []byte // what was asked for, in one form
	replaces bool
}

// newOnce is zero without a key. The content is that of the data, the claims are those
// that the pair's row gets, both in canonical form, which has no line break.
// A parameter that is added to the request must not be there where it is zero, or a
// creation is another one after an upgrade.
func newOnce(checked checkedParams, was replaced) once {
	params, replaces := checked.params, was.id != uuid.Nil
	if params.IdempotencyKey == "" && !replaces {
		return once{}
	}
	own, client := params.Lifetimes, params.Client.clean()
	request := fmt.Appendf(nil, "%q %q %q %q %q %d %d %d ", params.Subject, client.Label, client.UserAgent, client.IP, params.KeyThumbprint,
		own.AccessToken, own.RefreshToken, own.Session)
	request = append(request, checked.content...)
	if checked.claims != "" {
		request = append(append(request, '\n'), checked.claims...)
	}
	if params.ClientID != "" {
		request = fmt.Appendf(request, "\nclient %q", params.ClientID)
	}
	if params.NoRefresh {
		request = append(request, "\nno refresh token"...)
	}
	if replaces {
		request = fmt.Appendf(request, "\nreplaces %s %t", was.id, was.keepsData)
	}
	key := sha256.Sum256([]byte(params.IdempotencyKey))
	if params.IdempotencyKey == "" {
		return once{slices.Clone(was.id[:]), request, replaces} // no hash is as short
	}
	return once{key[:], request, replaces}
}

// isImplicit tells whether the key is not its caller's.
func (o once) isImplicit() bool { return len(o.key) == len(uuid.Nil) }

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
	return ok && (answer.ConstraintName == creationKeyIndex ||
		answer.Code == uniqueViolation && strings.Contains(answer.Message, `"`+creationKeyIndex)) // Citus passes only the message on
}

// createOnce makes a session unless one was made with the same key, or the one that it
// replaces cannot be replaced: then the error is errCreatedBefore.
func (s *Store) createOnce(ctx context.Context, c *creation) error {
	var now, expiresAt, accessExpiresAt time.Time
	made := false
	batch := &pgx.Batch{}
	c.lockReplaced(batch)
	batch.Queue(createOnceQuery, append(append(c.args(), c.once.key), c.replaced.args()...)...).QueryRow(func(row pgx.Row) error {
		var id [16]byte
		err := row.Scan(&id, &now, &expiresAt, &accessExpiresAt)
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
	c.at(now, expiresAt, accessExpiresAt)
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
// pair. That is the first one unless somebody has refreshed it, and so has had an answer.
// A replacement is known by the session that it replaces only for a while, and of no
// other request is there anything to tell.
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
	case pgvalue.IsNoRows(err): // clean-up was faster
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
