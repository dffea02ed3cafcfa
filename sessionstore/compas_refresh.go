package sessionstore

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// A refresh token of Compas is generation 0 of a pair that does not exist yet.
// The first time that it is presented the pair is made, in its generation 1.
// From then on the token is that pair's predecessor, and decide says what it
// does: a second tab and a lost answer get the pair again, and a token that
// comes back after the pair was in use was stolen.
//
// Each live refresh row of a session becomes a pair of its own, as Compas would
// have gone on. Its row stays, revoked, until it is cleaned up: a Compas that
// still runs sees it as rotated, and does not touch the pair but to revoke it
// with its session.

// compasGrace is how long Compas lets a rotated refresh token come again.
const compasGrace = 15 * time.Second

// The row may have been cleaned up. Its token is then as old as the session at most.
const findCompasQuery = `
SELECT s."id", COALESCE(r."createdAt", s."createdAt")
FROM (SELECT "session" FROM "sessionStoreToken" WHERE "id" IN ($1, $2) LIMIT 1) t
JOIN "sessionStore" s ON s."id" = t."session"
LEFT JOIN "sessionStoreToken" r ON r."id" = $1`

// refreshCompas is RefreshTokens for what our own verifier has refused with the
// given error, which it returns unless the token is one of Compas.
func (s *Store) refreshCompas(ctx context.Context, refreshToken, proven string, client Client, refused error) (Refreshed, error) {
	compas, err := s.verifyCompas(refreshToken, tokens.RefreshToken, refused)
	if err != nil {
		return Refreshed{}, err
	}
	if client, err = client.clean(); err != nil {
		return Refreshed{}, err
	}
	t := presented{
		claims: tokens.Claims{Type: tokens.RefreshToken, TokenID: compasSuccessor(compas.TokenID), ExpiresAt: compas.ExpiresAt},
		client: Client{UserAgent: client.UserAgent, IP: client.IP}, proven: proven,
	}
	err = s.pool.QueryRow(ctx, findCompasQuery, arg(compas.TokenID), arg(t.claims.TokenID)).
		Scan((*[16]byte)(&t.claims.SessionID), &t.claims.IssuedAt)
	switch {
	case isNoRows(err):
		return Refreshed{}, ErrNotFound
	case err != nil:
		return Refreshed{}, unavailable("refresh a token of Compas", err)
	}
	t.claims.IssuedAt = t.claims.IssuedAt.Truncate(time.Second)

	d, now, err := s.decideLocked(ctx, t)
	if errors.Is(err, ErrNotFound) {
		if d, now, err = s.takeOver(ctx, compas.TokenID, t); errors.Is(err, errTakenOver) {
			d, now, err = s.decideLocked(ctx, t)
		}
	}
	if err == nil {
		err = refusal(d, t.claims)
	}
	if err != nil {
		return Refreshed{}, err
	}
	pair, err := s.sign(d.Next, now)
	if err != nil {
		return Refreshed{}, err
	}
	return Refreshed{SessionID: t.claims.SessionID, Outcome: d.Outcome, Pair: pair}, nil
}

// errTakenOver says that somebody else has just made the pair.
var errTakenOver = errors.New("the token of Compas has been exchanged")

// The lifetimes are those that the application gave to Compas, and the tokens
// that it made since tell what became of one that was rotated.
const readCompasQuery = `
SELECT clock_timestamp(), s."subject", s."revokedAt" IS NOT NULL, r."createdAt", r."revokedAt",
  round(extract(epoch FROM r."expiresAt" - r."createdAt"))::bigint,
  (SELECT round(extract(epoch FROM a."expiresAt" - a."createdAt"))::bigint FROM "sessionStoreToken" a WHERE a."refreshToken" = r."id" LIMIT 1),
  EXISTS (SELECT FROM "sessionStoreToken" p WHERE p."id" = $3), "newer"."count", "newer"."last"
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id"
CROSS JOIN LATERAL (
  SELECT count(*), max(n."createdAt") AS "last" FROM "sessionStoreToken" n
  WHERE n."session" = s."id" AND n."refreshToken" IS NULL AND n."createdAt" > r."createdAt"
) AS "newer"
WHERE s."id" = $1 AND r."id" = $2 AND r."refreshToken" IS NULL`

const insertPairQuery = `
INSERT INTO "sessionStoreToken" ("id", "session", "generation", "createdAt", "issuedAt", "settledAt",
  "expiresAt", "expiresOn", "accessGeneration", "accessExpiresAt", "accessTokenTtl", "refreshTokenTtl",
  "clientUserAgent", "clientIp", "dpopJkt")
VALUES ($1, $2, $3, $4, $5, $6, $7::timestamptz, ($7::timestamptz AT TIME ZONE 'UTC')::date, $8, $9, $10, $11, $12, $13::text::inet, $14)`

// Only one row is changed, so that no lock is waited for while another is held
// that a refresh by Compas may want.
const retireCompasQuery = `UPDATE "sessionStoreToken" SET "revokedAt" = now() WHERE "id" = $1 AND "revokedAt" IS NULL`

// takeOver makes the pair that follows a refresh row of Compas, unless the
// session has ended or the row was rotated too long ago. A presented generation
// above 0 says that the pair was made once already, and lost by the database.
func (s *Store) takeOver(ctx context.Context, refreshRow uuid.UUID, t presented) (d refresh.Decision, now time.Time, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		p := refresh.Pair{SessionID: t.claims.SessionID, ID: t.claims.TokenID}
		var subject *string
		var rotatedAt, last *time.Time
		var refreshTTL int64
		var accessTTL *int64
		var exists bool
		var newer int64

		batch := &pgx.Batch{}
		batch.Queue(lockPairQuery, arg(p.SessionID), arg(refreshRow))
		batch.Queue(readCompasQuery, arg(p.SessionID), arg(refreshRow), arg(p.ID)).QueryRow(func(row pgx.Row) error {
			return row.Scan(&now, &subject, &p.Revoked, &p.CreatedAt, &rotatedAt, &refreshTTL, &accessTTL, &exists, &newer, &last)
		})
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		if exists {
			return errTakenOver
		}
		p.Subject = orZero(subject)
		switch {
		case p.Revoked:
			d = refresh.Decision{Outcome: Refused, Next: p}
			return nil
		case t.claims.Generation == 0 && newer > 0 && rotatedAt != nil && !now.Before(rotatedAt.Add(max(compasGrace, s.cfg.Grace))):
			// Compas keeps no count: what was made since stands for the generations.
			// If nothing was, it was stopped between its two statements.
			d = refresh.Decision{Outcome: Stolen, Theft: Stale, Next: refresh.Pair{
				SessionID: p.SessionID, Subject: p.Subject, ID: refreshRow, Generation: newer, CreatedAt: orZero(last),
			}}
			if newer > 1 {
				d.Theft = Old
			}
			if err := invalidate(ctx, tx, p.SessionID, ""); err != nil {
				return err
			}
			return s.reportLeak(ctx, tx, d, t, now)
		}
		p.BoundTo = t.proven
		p.Lifetimes = compasLifetimes(refreshTTL, accessTTL, s.rules())
		d = refresh.Decision{Outcome: Rotated, Next: p.Rotate(t.claims.Generation+1, now, s.rules())}
		if t.claims.Generation > 0 {
			d.Outcome = Healed
		}
		n := d.Next
		if _, err := tx.Exec(ctx, insertPairQuery, arg(n.ID), arg(n.SessionID), n.Generation, n.CreatedAt, n.IssuedAt, n.SettledAt,
			n.ExpiresAt, n.AccessGeneration, n.AccessExpiresAt, seconds(n.Lifetimes.AccessToken), seconds(n.Lifetimes.RefreshToken),
			orNull(t.client.UserAgent), orNull(t.client.IP), orNull(n.BoundTo)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, retireCompasQuery, arg(refreshRow))
		return err
	})
	switch {
	case isNoRows(err):
		return refresh.Decision{}, now, ErrNotFound
	case errors.Is(err, errTakenOver):
		return refresh.Decision{}, now, err
	case err != nil:
		return refresh.Decision{}, now, unavailable("take over a session of Compas", err)
	}
	return d, now, nil
}

// compasLifetimes are those of a session's tokens before, so that no client has
// to come earlier than it is used to, within what a pair of ours may have.
func compasLifetimes(idle int64, access *int64, r refresh.Rules) Lifetimes {
	bounded := func(seconds int64, least, most time.Duration) time.Duration {
		// First as numbers of seconds: a Duration holds less than a timestamp.
		return max(least, time.Duration(min(seconds, int64(most/time.Second)))*time.Second)
	}
	own := Lifetimes{AccessToken: r.Defaults.AccessToken}
	if access != nil {
		least := (refresh.FreshGraces * r.Grace).Truncate(time.Second) + time.Second
		own.AccessToken = bounded(*access, least, MaxAccessTokenTTL)
	}
	own.RefreshToken = bounded(idle, own.AccessToken+time.Second, refresh.MaxLifetime)
	return own
}

const compasRowsQuery = `SELECT "id" FROM "sessionStoreToken"
WHERE "session" = $1 AND "refreshToken" IS NULL AND "accessExpiresAt" IS NULL`

// healCompas makes a pair anew that a refresh token of ours stands for and that
// the database lost together with the commit in which it took the session over.
func (s *Store) healCompas(ctx context.Context, t presented) (d refresh.Decision, now time.Time, err error) {
	if s.compas == nil {
		return refresh.Decision{}, now, ErrNotFound
	}
	rows, err := s.pool.Query(ctx, compasRowsQuery, arg(t.claims.SessionID))
	if err != nil {
		return refresh.Decision{}, now, unavailable("refresh", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte])
	if err != nil {
		return refresh.Decision{}, now, unavailable("refresh", err)
	}
	for _, id := range ids {
		if compasSuccessor(id) != t.claims.TokenID {
			continue
		}
		d, now, err := s.takeOver(ctx, id, t)
		if errors.Is(err, errTakenOver) {
			return s.decideLocked(ctx, t)
		}
		return d, now, err
	}
	return refresh.Decision{}, now, ErrNotFound
}
