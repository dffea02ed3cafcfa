package sessionstore

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// sessionColumns are what scanSession reads, of "sessionStore" as s and of its
// token row as r.
const sessionColumns = `s."id", s."subject", s."checksum", s."clientLabel", s."clientUserAgent", host(s."clientIp"),
  s."createdAt", s."updatedAt", r."issuedAt", r."expiresAt", s."revokedAt", r."clientUserAgent", host(r."clientIp")`

// live tells for s and r whether the session has not ended. The refresh token's
// expiry is never later than the session's absolute end.
const live = `(s."revokedAt" IS NULL AND r."revokedAt" IS NULL AND r."expiresAt" > now())`

type scanner interface{ Scan(dest ...any) error }

// scanSession reads sessionColumns and what follows them.
func scanSession(row scanner, more ...any) (Session, error) {
	var s Session
	var subject, label, userAgent, ip, lastUserAgent, lastIP *string
	var refreshedAt, revokedAt *time.Time
	dest := append([]any{
		(*[16]byte)(&s.ID), &subject, &s.Checksum, &label, &userAgent, &ip,
		&s.CreatedAt, &s.UpdatedAt, &refreshedAt, &s.ExpiresAt, &revokedAt, &lastUserAgent, &lastIP,
	}, more...)
	if err := row.Scan(dest...); err != nil {
		return Session{}, err
	}
	s.Subject = orZero(subject)
	s.Client = Client{Label: orZero(label), UserAgent: orZero(userAgent), IP: orZero(ip)}
	s.LastClient = Client{UserAgent: orZero(lastUserAgent), IP: orZero(lastIP)}
	s.RefreshedAt, s.RevokedAt = orZero(refreshedAt), orZero(revokedAt)
	return s, nil
}

const getColumns = sessionColumns + `, s."data", r."accessGeneration", COALESCE(r."issuedAt", r."createdAt"),
  r."confirmedAt" IS NULL AND (r."settledAt" IS NULL OR r."settledAt" <= now()), ` + live

const getQuery = `
SELECT ` + getColumns + `, 1::bigint
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1 AND r."id" = $2`

// getTogetherQuery is the same for several. Each array is a subquery's, so that the
// planner takes every number of them for the same and need not plan anew.
const getTogetherQuery = `
SELECT ` + getColumns + `, a."n"
FROM unnest((SELECT $1::uuid[]), (SELECT $2::uuid[])) WITH ORDINALITY AS a("session", "id", "n")
JOIN "sessionStore" s ON s."id" = a."session"
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."id" = a."id" AND r."refreshToken" IS NULL`

// reading is an access token that was presented, and what is stored of its session.
type reading struct {
	sessionID, tokenID uuid.UUID

	found            bool
	session          Session
	data             []byte
	current          accessVersion
	countsAsFirstUse bool
	isLive           bool
}

func (s *Store) read(ctx context.Context, all []*call[reading]) error {
	var rows pgx.Rows
	if len(all) == 1 {
		rows, _ = s.pool.Query(ctx, getQuery, arg(all[0].of.sessionID), arg(all[0].of.tokenID))
	} else {
		rows, _ = s.pool.Query(ctx, getTogetherQuery,
			column(all, func(r *reading) [16]byte { return r.sessionID }),
			column(all, func(r *reading) [16]byte { return r.tokenID }))
	}
	defer rows.Close()
	var r struct {
		reading

		n int
	}
	for rows.Next() {
		var err error
		if r.session, err = scanSession(rows, &r.data, &r.current.generation, &r.current.mintedAt, &r.countsAsFirstUse, &r.isLive, &r.n); err != nil {
			return err
		}
		r.found = true
		all[r.n-1].of = r.reading
	}
	rows.Close()
	return rows.Err()
}

// Get verifies an access token and loads its session. It is strict: a token
// that was replaced or whose session has ended is refused from the next call
// on, with [ErrSuperseded], [ErrEnded] or [ErrNotFound]; a token that does not
// verify is a [tokens.ErrInvalid], a refresh token a [tokens.ErrWrongType]. Data
// that cannot be opened is a [SealedError].
func (s *Store) Get(ctx context.Context, accessToken string) (_ Session, _ tokens.Claims, err error) {
	ctx = s.begin(ctx, OperationGet)
	defer func() { s.end(ctx, Result{Operation: OperationGet, Err: err}) }()

	claims, err := s.verify(accessToken, tokens.AccessToken)
	if err != nil {
		return s.getCompas(ctx, accessToken, err)
	}
	answered, err := s.readings.do(ctx, reading{sessionID: claims.SessionID, tokenID: claims.TokenID})
	r := &answered.of
	switch {
	case err != nil:
		return Session{}, tokens.Claims{}, unavailable("get a session", err)
	case !r.found:
		return Session{}, tokens.Claims{}, ErrNotFound
	case !r.isLive:
		return Session{}, tokens.Claims{}, ErrEnded
	case claims.Generation < r.current.generation:
		// A generation above the row's is not refused: our signature proves
		// that it was issued, so the database has lost commits.
		return Session{}, tokens.Claims{}, ErrSuperseded
	}
	if r.countsAsFirstUse && claims.Generation == r.current.generation && claims.IssuedAt.Equal(r.current.mintedAt.Truncate(time.Second)) {
		s.confirm(ctx, claims.TokenID, r.current)
	}
	if r.session.Data, err = s.open(r.session.ID, r.data); err != nil {
		return Session{}, tokens.Claims{}, err
	}
	return r.session, claims, nil
}

// best orders token rows, of which a session that Compas began may have several:
// the one that lives longest comes first.
const best = `ORDER BY r."revokedAt" IS NOT NULL, r."expiresAt" DESC LIMIT 1`

const loadQuery = `
SELECT ` + sessionColumns + `, s."data"
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1
` + best

// Load returns a session by its id, an ended one too until it is cleaned up.
// It fails with [ErrNotFound], or a [SealedError] if the data cannot be opened.
func (s *Store) Load(ctx context.Context, id uuid.UUID) (_ Session, err error) {
	ctx = s.begin(ctx, OperationLoad)
	defer func() { s.end(ctx, Result{Operation: OperationLoad, Err: err}) }()

	var data []byte
	session, err := scanSession(s.pool.QueryRow(ctx, loadQuery, arg(id)), &data)
	switch {
	case isNoRows(err):
		return Session{}, ErrNotFound
	case err != nil:
		return Session{}, unavailable("load a session", err)
	}
	if session.Data, err = s.open(session.ID, data); err != nil {
		return Session{}, err
	}
	return session, nil
}
