package compas

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/era"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// A refresh token of Compas is generation 0 of a pair that does not exist yet.
// When it is first presented, the pair is made, in generation 1. From then on the
// token is that pair's predecessor, and [refresh.Decide] decides about it: a second
// tab and a lost response get the pair again, and a token that is presented after
// the pair was in use was stolen.
//
// Each live refresh row of a session becomes a separate pair, as it would have
// in Compas. Its row stays, revoked, until it is cleaned up: a Compas that
// still runs sees it as rotated, and does not touch the pair except to revoke
// it with its session.

// grace is how long Compas accepts a rotated refresh token again.
const grace = 15 * time.Second

// ErrTakenOver says that another caller has just made the pair.
var ErrTakenOver = errors.New("the Compas token has been exchanged")

// Presented is a refresh token whose pair does not exist: one of Compas, or one
// of ours for which the database has lost the pair together with the commit in
// which it took the session over.
type Presented struct {
	Claims tokens.Claims
	Row    uuid.UUID // of Compas; zero if the token is ours, and the row must be looked up
	Proven string    // the thumbprint of its bearer's key; empty for none
	// UserAgent and IP are what is known about the bearer.
	UserAgent, IP string
	// Wanted sets what the program specifies for a new pair.
	Wanted func(refresh.Pair) (refresh.Pair, error)
}

const lockQuery = `
SELECT 1 FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id"
WHERE s."id" = $1 AND r."id" = $2 AND r."refreshToken" IS NULL
FOR NO KEY UPDATE OF s, r`

// The lifetimes are those that the application gave to Compas, and the tokens
// that it made later show what happened to a rotated one. Claims, and an end, are those
// that the session's other pairs were given since they were taken over; lifetimes that
// the session was given are in the row.
const readQuery = `
SELECT clock_timestamp(), s."subject", s."revokedAt" IS NOT NULL OR NOT ` + sessionEra + era.Continues + `, ` + sessionEra + `, r."createdAt", r."revokedAt",
  round(extract(epoch FROM r."expiresAt" - r."createdAt"))::bigint,
  (SELECT round(extract(epoch FROM a."expiresAt" - a."createdAt"))::bigint FROM "sessionStoreToken" a WHERE a."refreshToken" = r."id" LIMIT 1),
  EXISTS (SELECT FROM "sessionStoreToken" p WHERE p."id" = $3), "newer"."count", "newer"."last",
  "ours"."claims", COALESCE(r."sessionExpiresAt", "ours"."sessionExpiresAt"), r."accessTokenTtl", r."refreshTokenTtl"
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id"
CROSS JOIN LATERAL (
  SELECT count(*), max(n."createdAt") AS "last" FROM "sessionStoreToken" n
  WHERE n."session" = s."id" AND n."refreshToken" IS NULL AND n."createdAt" > r."createdAt"
) AS "newer"
LEFT JOIN LATERAL (
  SELECT p."claims", p."sessionExpiresAt" FROM "sessionStoreToken" p
  WHERE p."session" = s."id" AND p."refreshToken" IS NULL AND p."accessExpiresAt" IS NOT NULL AND p."revokedAt" IS NULL LIMIT 1
) AS "ours" ON true
WHERE s."id" = $1 AND r."id" = $2 AND r."refreshToken" IS NULL`

const insertPairQuery = `
INSERT INTO "sessionStoreToken" ("id", "session", "generation", "createdAt", "issuedAt", "settledAt",
  "expiresAt", "expiresOn", "accessGeneration", "accessExpiresAt", "accessTokenTtl", "refreshTokenTtl",
  "clientUserAgent", "clientIp", "dpopJkt", "audience", "claims", "client", "grace", "sessionExpiresAt", "era")
VALUES ($1, $2, $3, $4, $5, $6, $7::timestamptz, ($7::timestamptz AT TIME ZONE 'UTC')::date, $8, $9, $10, $11, $12, $13::text::inet, $14, $15, $16, $17, $18, $19, $20)`

// Only one row is changed, so that it waits for no lock while holding another that a
// refresh by Compas may need.
const retireQuery = `UPDATE "sessionStoreToken" SET "revokedAt" = now() WHERE "id" = $1 AND "revokedAt" IS NULL`

// touchQuery changes only the version of the session's row, whose lock the transaction
// holds. An operator who revokes it manually at an isolation level that does not show the
// new pair, and waits meanwhile, gets an error instead of a revocation that leaves the
// pair live.
const touchQuery = `UPDATE "sessionStore" SET "updatedAt" = "updatedAt" WHERE "id" = $1`

// TakeOver makes the pair that follows a refresh row of Compas, in a transaction that
// locks the session and the row. The error is pgx.ErrNoRows if there is no such row.
// Nothing is made if the session has ended or the token has expired, nor if the row was rotated too long ago,
// which is a theft that the store must handle in the same transaction.
func (a *Adapter) TakeOver(ctx context.Context, tx pgx.Tx, t Presented) (d refresh.Decision, now time.Time, err error) {
	p := refresh.Pair{SessionID: t.Claims.SessionID, ID: t.Claims.TokenID}
	if t.Row == uuid.Nil {
		if t.Row, err = findRow(ctx, tx, p); err != nil {
			return d, now, err
		}
	}
	var subject, claims *string
	var rotatedAt, last, end *time.Time
	var newer int64
	var lived lived
	var exists bool

	batch := &pgx.Batch{}
	batch.Queue(lockQuery, pgvalue.UUID(p.SessionID), pgvalue.UUID(t.Row))
	batch.Queue(readQuery, pgvalue.UUID(p.SessionID), pgvalue.UUID(t.Row), pgvalue.UUID(p.ID)).QueryRow(func(row pgx.Row) error {
		return row.Scan(&now, &subject, &p.Revoked, &p.Era, &p.CreatedAt, &rotatedAt, &lived.idle, &lived.access, &exists, &newer, &last, &claims, &end, &lived.ownAccess, &lived.ownIdle)
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return d, now, err
	}
	if exists {
		return d, now, ErrTakenOver
	}
	p.Subject, p.Claims, p.End = pgvalue.OrZero(subject), pgvalue.OrZero(claims), pgvalue.OrZero(end)
	switch {
	case p.Revoked, hasExpired(t.Claims, now), end != nil && !now.Before(*end):
		return refresh.Decision{Outcome: refresh.Refused, Next: p}, now, nil
	case t.Claims.Generation == 0 && newer > 0 && rotatedAt != nil && !now.Before(rotatedAt.Add(max(grace, a.rules.Grace))):
		// Compas keeps no count: the later rows represent the generations. If
		// there are none, Compas was stopped between its two statements.
		d = refresh.Decision{Outcome: refresh.Stolen, Theft: refresh.Stale, Next: refresh.Pair{
			SessionID: p.SessionID, Subject: p.Subject, ID: t.Row, Generation: newer, CreatedAt: pgvalue.OrZero(last),
		}}
		if newer > 1 {
			d.Theft = refresh.Old
		}
		return d, now, nil
	}
	p.BoundTo, p.Lifetimes = t.Proven, lived.lifetimes(a.rules)
	if p, err = t.Wanted(p); err != nil {
		return d, now, err
	}
	// A generation above 0 means that the pair was made once already.
	d = refresh.Decision{Outcome: refresh.Rotated, Next: p.Rotate(t.Claims.Generation+1, now, a.rules)}
	if t.Claims.Generation > 0 {
		d.Outcome = refresh.Healed
	}
	n := d.Next
	if _, err := tx.Exec(ctx, insertPairQuery, pgvalue.UUID(n.ID), pgvalue.UUID(n.SessionID), n.Generation, n.CreatedAt, n.IssuedAt, n.SettledAt,
		n.ExpiresAt, n.AccessGeneration, n.AccessExpiresAt, pgvalue.Seconds(n.Lifetimes.AccessToken), pgvalue.Seconds(n.Lifetimes.RefreshToken),
		pgvalue.OrNull(t.UserAgent), pgvalue.OrNull(t.IP), pgvalue.OrNull(n.BoundTo), n.Audience, pgvalue.OrNull(n.Claims), n.Client, n.Grace, end, pgvalue.OrNull(n.Era)); err != nil {
		return d, now, err
	}
	batch = &pgx.Batch{}
	batch.Queue(retireQuery, pgvalue.UUID(t.Row))
	batch.Queue(touchQuery, pgvalue.UUID(n.SessionID))
	return d, now, tx.SendBatch(ctx, batch).Close()
}

// lived is how many seconds tokens lived before, and which lifetimes the session was
// given since.
type lived struct {
	idle               int64
	access             *int64
	ownIdle, ownAccess *int64
}

// lifetimes returns those of a session's earlier tokens, so that no client has to
// refresh sooner than before, within the limits of our pairs. Lifetimes that the
// session was given since have been checked.
func (l lived) lifetimes(r refresh.Rules) refresh.Lifetimes {
	bounded := func(seconds int64, least, most time.Duration) time.Duration {
		// First as numbers of seconds: a Duration holds less than a timestamp.
		return max(least, time.Duration(min(seconds, int64(most/time.Second)))*time.Second)
	}
	own := refresh.Lifetimes{AccessToken: r.Defaults.AccessToken}
	if access := cmp.Or(l.ownAccess, l.access); access != nil {
		least := (refresh.FreshGraces * r.Grace).Truncate(time.Second) + time.Second
		own.AccessToken = bounded(*access, least, refresh.MaxAccessTokenTTL)
	}
	own.RefreshToken = bounded(*cmp.Or(l.ownIdle, &l.idle), own.AccessToken+time.Second, refresh.MaxLifetime)
	return own
}

const rowsQuery = `SELECT "id" FROM "sessionStoreToken"
WHERE "session" = $1 AND "refreshToken" IS NULL AND "accessExpiresAt" IS NULL`

// findRow finds the row of Compas that a pair follows.
func findRow(ctx context.Context, tx pgx.Tx, p refresh.Pair) (uuid.UUID, error) {
	rows, err := tx.Query(ctx, rowsQuery, pgvalue.UUID(p.SessionID))
	if err != nil {
		return uuid.Nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte])
	if err != nil {
		return uuid.Nil, err
	}
	i := slices.IndexFunc(ids, func(id [16]byte) bool { return successor(id) == p.ID })
	if i < 0 {
		return uuid.Nil, pgx.ErrNoRows
	}
	return ids[i], nil
}
