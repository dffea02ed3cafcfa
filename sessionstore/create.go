package sessionstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
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
	newSession = `SELECT $1::uuid AS "id", $2::text AS "checksum", $3::jsonb AS "data", $4::text AS "subject", $5::text AS "label", $6::text AS "userAgent", $7::text AS "ip",
    $8::integer AS "length", $9::uuid AS "pair", $10::integer AS "access", $11::integer AS "refresh", $12::integer AS "accessTtl", $13::integer AS "refreshTtl", $14::text AS "jkt"`

	// createRows continues the CTE "new", and makes nothing if that is empty.
	createRows = `"made" AS (
  INSERT INTO "sessionStore" ("id", "checksum", "data", "createdAt", "updatedAt", "subject",
    "clientLabel", "clientUserAgent", "clientIp")
  SELECT "id", "checksum", "data", now(), now(), "subject", "label", "userAgent", "ip"::inet FROM "new"
)
INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt", "expiresOn",
  "accessExpiresAt", "sessionExpiresAt", "accessTokenTtl", "refreshTokenTtl", "dpopJkt")
SELECT "pair", "id", now(), LEAST(now() + "refresh" * interval '1 s', "end"), (LEAST(now() + "refresh" * interval '1 s', "end") AT TIME ZONE 'UTC')::date,
  LEAST(now() + "access" * interval '1 s', "end"), "end", "accessTtl", "refreshTtl", "jkt"
FROM (SELECT *, now() + "length" * interval '1 s' AS "end" FROM "new") n
RETURNING "id", "createdAt", "expiresAt", "accessExpiresAt"`

	createQuery = `
WITH "new" AS (
  ` + newSession + `
), ` + createRows

	// createTogetherQuery is the same for several sessions.
	createTogetherQuery = `
WITH "new" AS (
  SELECT * FROM unnest(
    (SELECT $1::uuid[]), (SELECT $2::text[]), (SELECT $3::jsonb[]), (SELECT $4::text[]), (SELECT $5::text[]), (SELECT $6::text[]), (SELECT $7::text[]),
    (SELECT $8::integer[]), (SELECT $9::uuid[]), (SELECT $10::integer[]), (SELECT $11::integer[]), (SELECT $12::integer[]), (SELECT $13::integer[]), (SELECT $14::text[])
  ) AS a("id", "checksum", "data", "subject", "label", "userAgent", "ip", "length", "pair", "access", "refresh", "accessTtl", "refreshTtl", "jkt")
), ` + createRows
)

// creation is a session that is to be made, and the times that the database gave it.
type creation struct {
	session   Session
	stored    []byte // the session's data as the database gets it
	pair      refresh.Pair
	own       Lifetimes // where they are not the store's
	lifetimes Lifetimes
}

// args are the arguments of a statement that makes one session.
func (c *creation) args() []any {
	return []any{
		arg(c.session.ID), c.session.Checksum, c.stored, orNull(c.session.Subject),
		orNull(c.session.Client.Label), orNull(c.session.Client.UserAgent), orNull(c.session.Client.IP),
		orNull(seconds(c.lifetimes.Session)), arg(c.pair.ID), seconds(c.lifetimes.AccessToken), seconds(c.lifetimes.RefreshToken),
		orNull(seconds(c.own.AccessToken)), orNull(seconds(c.own.RefreshToken)), orNull(c.pair.BoundTo),
	}
}

func (s *Store) create(ctx context.Context, all []*call[creation]) error {
	var rows pgx.Rows
	if len(all) == 1 {
		rows, _ = s.pool.Query(ctx, createQuery, all[0].of.args()...)
	} else {
		rows, _ = s.pool.Query(ctx, createTogetherQuery,
			column(all, func(c *creation) [16]byte { return c.session.ID }),
			column(all, func(c *creation) string { return c.session.Checksum }),
			column(all, func(c *creation) []byte { return c.stored }),
			column(all, func(c *creation) *string { return orNull(c.session.Subject) }),
			column(all, func(c *creation) *string { return orNull(c.session.Client.Label) }),
			column(all, func(c *creation) *string { return orNull(c.session.Client.UserAgent) }),
			column(all, func(c *creation) *string { return orNull(c.session.Client.IP) }),
			column(all, func(c *creation) *int { return orNull(seconds(c.lifetimes.Session)) }),
			column(all, func(c *creation) [16]byte { return c.pair.ID }),
			column(all, func(c *creation) int { return seconds(c.lifetimes.AccessToken) }),
			column(all, func(c *creation) int { return seconds(c.lifetimes.RefreshToken) }),
			column(all, func(c *creation) *int { return orNull(seconds(c.own.AccessToken)) }),
			column(all, func(c *creation) *int { return orNull(seconds(c.own.RefreshToken)) }),
			column(all, func(c *creation) *string { return orNull(c.pair.BoundTo) }))
	}
	return readCreated(rows, all)
}

// at notes the times that the database gave the session and its pair.
func (c *creation) at(now, expiresAt, accessExpiresAt time.Time) {
	c.pair.CreatedAt, c.pair.ExpiresAt, c.pair.AccessExpiresAt = now, expiresAt, accessExpiresAt
	c.session.CreatedAt, c.session.UpdatedAt, c.session.ExpiresAt = now, now, expiresAt
}

// readCreated notes the times of the sessions that were made.
func readCreated(rows pgx.Rows, all []*call[creation]) error {
	defer rows.Close()
	for rows.Next() {
		var p refresh.Pair
		if err := rows.Scan((*[16]byte)(&p.ID), &p.CreatedAt, &p.ExpiresAt, &p.AccessExpiresAt); err != nil {
			return err
		}
		made := slices.IndexFunc(all, func(c *call[creation]) bool { return c.of.pair.ID == p.ID })
		all[made].of.at(p.CreatedAt, p.ExpiresAt, p.AccessExpiresAt)
	}
	rows.Close()
	return rows.Err()
}

// Create makes a session and its token pair. It is the one operation that must
// not be sent again after [ErrUnavailable] without a second thought: if the
// answer was lost, there are then two sessions.
//
// Where [Config].SessionsPerSubject bounds a subject's sessions, its oldest ones
// may end for the new one, or the error is [ErrTooManySessions].
func (s *Store) Create(ctx context.Context, params CreateParams) (_ Session, _ TokenPair, err error) {
	result := Result{Operation: OperationCreate, Subject: params.Subject}
	ctx = s.begin(ctx, OperationCreate)
	defer func() {
		result.Err = err
		s.end(ctx, result)
	}()

	wanted, err := s.prepare(params)
	if err != nil {
		return Session{}, TokenPair{}, err
	}
	made := &wanted
	if s.isLimited(params) {
		result.Revoked, err = s.createWithin(ctx, made)
	} else {
		made, err = s.createShared(ctx, wanted)
	}
	if err != nil {
		return Session{}, TokenPair{}, err
	}
	result.Changed = made.session.ID
	tokens, err := s.sign(made.pair, made.pair.CreatedAt)
	if err != nil {
		return Session{}, TokenPair{}, err
	}
	return made.session, tokens, nil
}

func (s *Store) createShared(ctx context.Context, wanted creation) (*creation, error) {
	made, err := s.creations.do(ctx, wanted)
	if err != nil {
		return nil, unavailable("create a session", err)
	}
	return &made.of, nil
}

// prepare checks the parameters and fills in what the database does not decide.
func (s *Store) prepare(params CreateParams) (creation, error) {
	fail := func(err error) (creation, error) { return creation{}, err }
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
	content, err := canonicalForm(params.Data)
	if err != nil {
		return fail(err)
	}
	own := params.Lifetimes
	if s.cfg.LifetimesFor != nil {
		own = own.Or(s.cfg.LifetimesFor(params))
	}
	if err := checkLifetimes(own.Or(s.cfg.Lifetimes), s.cfg.Grace); err != nil {
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
	session := Session{ID: ids[0], Subject: params.Subject, Data: params.Data, Checksum: s.sum(ids[0], content), Client: client}
	stored, err := s.stored(session.ID, session.Data)
	if err != nil {
		return fail(err)
	}
	return creation{
		session: session, stored: stored, pair: refresh.Pair{SessionID: ids[0], Subject: params.Subject, ID: ids[1], BoundTo: params.KeyThumbprint},
		own: own, lifetimes: own.Or(s.cfg.Lifetimes),
	}, nil
}
