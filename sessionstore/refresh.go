package sessionstore

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// Refreshed is the answer to a refresh token.
type Refreshed struct {
	SessionID uuid.UUID
	// Outcome tells how the pair came to be: by a rotation, or by one of the
	// cases in which an earlier answer is given again.
	Outcome Outcome
	Pair    TokenPair
}

// presented is a refresh token that has verified, and who brought it.
type presented struct {
	claims tokens.Claims
	client Client
}

// RefreshTokens exchanges a refresh token for its session's present pair. In
// the normal case that is a new pair; a token that is presented again in time
// gets the same pair again. A request whose answer was lost, for whatever
// reason, may be sent again. What is known of the client is kept with the
// session; it decides nothing.
//
// Errors: [ErrNotFound] and [ErrEnded] for a session that is no more,
// [ErrReuse] for a token that was stolen, [tokens.ErrInvalid] for one that does
// not verify. A client that gets one of these must have its user sign in anew.
// [ErrUnavailable] says nothing about the token.
func (s *Store) RefreshTokens(ctx context.Context, refreshToken string, client Client) (Refreshed, error) {
	claims, err := s.verifier.Verify(refreshToken, tokens.RefreshToken)
	if err != nil {
		return Refreshed{}, err
	}
	if client, err = client.clean(); err != nil {
		return Refreshed{}, err
	}
	presented := presented{claims: claims, client: Client{UserAgent: client.UserAgent, IP: client.IP}}
	outcome := Rotated
	next, now, err := s.rotateNewest(ctx, presented)
	if isNoRows(err) {
		var d decision
		d, now, err = s.decideLocked(ctx, presented)
		outcome, next = d.Outcome, d.Next
		if err == nil && outcome == Refused {
			err = ErrEnded
		}
		if err == nil && outcome == Stolen {
			err = &ReuseError{SessionID: claims.SessionID, Theft: d.Theft, Behind: next.Generation - claims.Generation}
		}
	} else if err != nil {
		err = unavailable("refresh", err)
	}
	if err != nil {
		return Refreshed{}, err
	}
	tokens, err := s.sign(next, now)
	if err != nil {
		return Refreshed{}, err
	}
	return Refreshed{SessionID: claims.SessionID, Outcome: outcome, Pair: tokens}, nil
}

func (s *Store) rules() rules {
	return rules{grace: s.cfg.Grace, lateRetryLimit: s.cfg.LateRetryLimit, defaults: s.cfg.Lifetimes}
}

// rotateQuery is case Rotated of decide, and pair.rotate, as one conditional
// statement. It locks the refresh row, then the access row; the session row is
// only read, for Invalidate changes the refresh row too. None of the columns
// that it changes is indexed but expiresOn, which changes once a day.
const rotateQuery = `
WITH "refresh" AS (
  UPDATE "sessionStoreToken" r SET
    "generation" = r."generation" + 1, "createdAt" = now(), "issuedAt" = now(),
    "settledAt" = GREATEST(now(), r."issuedAt" + $10 * $4::interval),
    "expiresAt" = LEAST(now() + COALESCE(s."refreshTokenTtl", $6) * interval '1 s', s."expiresAt"),
    "expiresOn" = (LEAST(now() + COALESCE(s."refreshTokenTtl", $6) * interval '1 s', s."expiresAt") AT TIME ZONE 'UTC')::date,
    "clientUserAgent" = $7, "clientIp" = $8::text::inet
  FROM "sessionStore" s
  WHERE s."id" = $1 AND r."id" = $2 AND r."session" = $1 AND r."refreshToken" IS NULL AND r."generation" = $3
    AND (r."issuedAt" IS NULL OR r."issuedAt" <= now() - $9 * $4::interval)
    AND ` + live + `
  RETURNING r."id", r."expiresAt", s."subject", s."expiresAt" AS "end", s."accessTokenTtl"
)
UPDATE "sessionStoreToken" a SET
  "generation" = a."generation" + 1, "createdAt" = now(), "confirmedAt" = NULL,
  "expiresAt" = LEAST(now() + COALESCE("refresh"."accessTokenTtl", $5) * interval '1 s', "refresh"."end")
FROM "refresh"
WHERE a."refreshToken" = "refresh"."id"
RETURNING now(), "refresh"."subject", "refresh"."expiresAt", a."id", a."generation", a."expiresAt"`

// rotateNewest rotates the pair if the token is its newest one and its time
// has come. Otherwise nothing is changed and the error is pgx.ErrNoRows.
func (s *Store) rotateNewest(ctx context.Context, p presented) (next pair, now time.Time, err error) {
	claims := p.claims
	var subject *string
	err = s.pool.QueryRow(ctx, rotateQuery, claims.SessionID, claims.TokenID, claims.Generation, s.cfg.Grace,
		seconds(s.cfg.Lifetimes.AccessToken), seconds(s.cfg.Lifetimes.RefreshToken),
		orNull(p.client.UserAgent), orNull(p.client.IP), freshGraces, settleGraces,
	).Scan(&now, &subject, &next.ExpiresAt, &next.AccessID, &next.AccessGeneration, &next.AccessExpiresAt)
	if err != nil {
		return pair{}, now, err
	}
	next.SessionID, next.Subject = claims.SessionID, orZero(subject)
	next.RefreshID, next.Generation = claims.TokenID, claims.Generation+1
	next.CreatedAt, next.AccessCreatedAt = now, now
	return next, now, nil
}

// decideLocked is every other case: it locks the session row and the refresh
// row, decides, and has the outcome committed before it returns, a theft's
// revocation too.
func (s *Store) decideLocked(ctx context.Context, t presented) (d decision, now time.Time, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var p pair
		if p, now, err = lockPair(ctx, tx, t.claims); err != nil {
			return err
		}
		d = decide(p, t.claims.Generation, now, s.rules())
		switch {
		case d.Outcome == Stolen:
			if err := invalidate(ctx, tx, p.SessionID, ""); err != nil {
				return err
			}
			return s.reportLeak(ctx, tx, d, t, now)
		case d.Next == p:
			return nil
		case d.Outcome == StillFresh:
			return s.recordConfirmations(ctx, tx, map[uuid.UUID]accessVersion{p.AccessID: {p.AccessGeneration, p.AccessCreatedAt}})
		default:
			return writePair(ctx, tx, d.Next, t.client)
		}
	})
	switch {
	case isNoRows(err):
		return decision{}, now, ErrNotFound
	case err != nil:
		return decision{}, now, unavailable("refresh", err)
	}
	return d, now, nil
}

const lockPairQuery = `
SELECT 1 FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id"
WHERE s."id" = $1 AND r."id" = $2 AND r."refreshToken" IS NULL
FOR NO KEY UPDATE OF s, r`

// readPairQuery runs after the locks were taken: the rows and the time are
// those of the moment in which the decision counts.
const readPairQuery = `
SELECT clock_timestamp(), s."subject", s."revokedAt" IS NOT NULL OR r."revokedAt" IS NOT NULL, s."expiresAt",
  s."accessTokenTtl", s."refreshTokenTtl",
  r."generation", r."createdAt", r."issuedAt", r."settledAt", r."expiresAt", r."lateRetryGeneration", r."lateRetries",
  a."id", a."generation", a."createdAt", a."expiresAt", a."confirmedAt"
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id"
JOIN "sessionStoreToken" a ON a."refreshToken" = r."id"
WHERE s."id" = $1 AND r."id" = $2`

func lockPair(ctx context.Context, tx pgx.Tx, claims tokens.Claims) (p pair, now time.Time, err error) {
	p.SessionID, p.RefreshID = claims.SessionID, claims.TokenID
	var subject *string
	var end, issuedAt, settledAt, confirmedAt *time.Time
	var accessTTL, refreshTTL *int
	var lateRetryGeneration *int64

	batch := &pgx.Batch{} // one round trip for both
	batch.Queue(lockPairQuery, p.SessionID, p.RefreshID)
	batch.Queue(readPairQuery, p.SessionID, p.RefreshID).QueryRow(func(row pgx.Row) error {
		return row.Scan(&now, &subject, &p.Revoked, &end, &accessTTL, &refreshTTL,
			&p.Generation, &p.CreatedAt, &issuedAt, &settledAt, &p.ExpiresAt, &lateRetryGeneration, &p.LateRetries,
			&p.AccessID, &p.AccessGeneration, &p.AccessCreatedAt, &p.AccessExpiresAt, &confirmedAt)
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return pair{}, now, err
	}
	p.Subject, p.End, p.IssuedAt, p.ConfirmedAt = orZero(subject), orZero(end), orZero(issuedAt), orZero(confirmedAt)
	p.SettledAt, p.LateRetryGeneration = orZero(settledAt), orZero(lateRetryGeneration)
	p.Lifetimes.AccessToken = time.Duration(orZero(accessTTL)) * time.Second
	p.Lifetimes.RefreshToken = time.Duration(orZero(refreshTTL)) * time.Second
	return p, now, nil
}

const writePairQuery = `
WITH "refresh" AS (
  UPDATE "sessionStoreToken" SET "generation" = $2, "createdAt" = $3, "issuedAt" = $4, "expiresAt" = $5::timestamptz,
    "expiresOn" = ($5::timestamptz AT TIME ZONE 'UTC')::date, "lateRetryGeneration" = $6, "lateRetries" = $7,
    "clientUserAgent" = $13, "clientIp" = $14::text::inet, "settledAt" = $15
  WHERE "id" = $1
)
UPDATE "sessionStoreToken" SET "generation" = $9, "createdAt" = $10, "expiresAt" = $11, "confirmedAt" = $12
WHERE "id" = $8`

func writePair(ctx context.Context, tx pgx.Tx, p pair, client Client) error {
	_, err := tx.Exec(ctx, writePairQuery,
		p.RefreshID, p.Generation, p.CreatedAt, orNull(p.IssuedAt), p.ExpiresAt, orNull(p.LateRetryGeneration), p.LateRetries,
		p.AccessID, p.AccessGeneration, p.AccessCreatedAt, p.AccessExpiresAt, orNull(p.ConfirmedAt),
		orNull(client.UserAgent), orNull(client.IP), orNull(p.SettledAt))
	return err
}
