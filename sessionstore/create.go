package sessionstore

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// CreateParams describes a new session.
type CreateParams struct {
	// Subject is the user, up to 255 bytes. Empty means a session without one.
	Subject string
	// Data is a JSON object of up to [MaxDataBytes]. Empty means {}.
	Data []byte
	// Client is what is known of the client.
	Client Client
	// Lifetimes differ from the store's where they are not zero.
	Lifetimes Lifetimes
	// KeyThumbprint binds the session to a key of its client (RFC 9449 §6.1): the
	// RFC 7638 SHA-256 thumbprint in base64url. Empty means bearer tokens, until the
	// first refresh with a proof: see [Store.RefreshTokensWithProof].
	KeyThumbprint string
}

// Both rows of a session are made by one statement: one round trip, and either
// all of them or none. Lifetimes are kept only where they are the session's own.
const (
	createTimes = `SELECT now() AS "at", now() + $8 * interval '1 s' AS "end"`

	// createRows continues the CTE "times", and makes nothing if that is empty.
	createRows = `"made" AS (
  INSERT INTO "sessionStore" ("id", "checksum", "data", "createdAt", "updatedAt", "subject",
    "clientLabel", "clientUserAgent", "clientIp")
  SELECT $1, $2, $3, "at", "at", $4, $5, $6, $7::text::inet FROM "times"
)
INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt", "expiresOn",
  "accessExpiresAt", "sessionExpiresAt", "accessTokenTtl", "refreshTokenTtl", "dpopJkt")
SELECT $9, $1, "at", LEAST("at" + $11 * interval '1 s', "end"), (LEAST("at" + $11 * interval '1 s', "end") AT TIME ZONE 'UTC')::date,
  LEAST("at" + $10 * interval '1 s', "end"), "end", $12, $13, $14
FROM "times"
RETURNING "createdAt", "expiresAt", "accessExpiresAt"`

	createQuery = `
WITH "times" AS (
  ` + createTimes + `
), ` + createRows
)

// Create makes a session and its token pair. It is the one operation that must
// not be sent again after [ErrUnavailable] without a second thought: if the
// answer was lost, there are then two sessions.
//
// Where [Config].SessionsPerSubject bounds a subject's sessions, its oldest ones
// may end for the new one, or the error is [ErrTooManySessions].
func (s *Store) Create(ctx context.Context, params CreateParams) (_ Session, _ TokenPair, err error) {
	var ended int64
	ctx = s.begin(ctx, OperationCreate)
	defer func() { s.end(ctx, Result{Operation: OperationCreate, Err: err, Revoked: ended}) }()

	session, pair, own, err := s.prepare(params)
	if err != nil {
		return Session{}, TokenPair{}, err
	}
	lifetimes := own.or(s.cfg.Lifetimes)
	args := []any{
		arg(session.ID), session.Checksum, session.Data, orNull(session.Subject),
		orNull(session.Client.Label), orNull(session.Client.UserAgent), orNull(session.Client.IP),
		orNull(seconds(lifetimes.Session)), arg(pair.ID), seconds(lifetimes.AccessToken), seconds(lifetimes.RefreshToken),
		orNull(seconds(own.AccessToken)), orNull(seconds(own.RefreshToken)), orNull(params.KeyThumbprint),
	}
	var now time.Time
	if s.isLimited(params) {
		ended, err = s.createWithin(ctx, params.Subject, args, &now, &pair.ExpiresAt, &pair.AccessExpiresAt)
	} else if err = s.pool.QueryRow(ctx, createQuery, args...).Scan(&now, &pair.ExpiresAt, &pair.AccessExpiresAt); err != nil {
		err = unavailable("create a session", err)
	}
	if err != nil {
		return Session{}, TokenPair{}, err
	}
	session.CreatedAt, session.UpdatedAt, session.ExpiresAt = now, now, pair.ExpiresAt
	pair.CreatedAt = now
	tokens, err := s.sign(pair, now)
	if err != nil {
		return Session{}, TokenPair{}, err
	}
	return session, tokens, nil
}

// prepare checks the parameters and fills in what the database does not decide.
func (s *Store) prepare(params CreateParams) (Session, pair, Lifetimes, error) {
	fail := func(err error) (Session, pair, Lifetimes, error) { return Session{}, pair{}, Lifetimes{}, err }
	if err := checkText("subject", params.Subject, maxSubjectBytes); err != nil {
		return fail(err)
	}
	if params.KeyThumbprint != "" && !tokens.IsThumbprint(params.KeyThumbprint) {
		return fail(argumentError("dpop_jkt", "not a SHA-256 thumbprint in base64url without padding"))
	}
	client, err := params.Client.clean()
	if err != nil {
		return fail(err)
	}
	if len(params.Data) == 0 {
		params.Data = []byte("{}")
	}
	checksum, err := Checksum(params.Data)
	if err != nil {
		return fail(err)
	}
	own := params.Lifetimes
	if s.cfg.LifetimesFor != nil {
		own = own.or(s.cfg.LifetimesFor(params))
	}
	if err := own.or(s.cfg.Lifetimes).check(s.cfg.Grace); err != nil {
		return fail(err)
	}
	// Version 7 ids start with the time, so inserts land on the right edge of
	// each index. They need not be secret: tokens are signed.
	var ids [2]uuid.UUID
	for i := range ids {
		if ids[i], err = uuid.NewV7(); err != nil {
			return fail(fmt.Errorf("create a session: %w", err))
		}
	}
	session := Session{ID: ids[0], Subject: params.Subject, Data: params.Data, Checksum: checksum, Client: client}
	return session, pair{SessionID: ids[0], Subject: params.Subject, ID: ids[1], BoundTo: params.KeyThumbprint}, own, nil
}
