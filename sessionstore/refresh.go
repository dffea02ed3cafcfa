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
// statement: it changes one row, which it finds by its primary key, and no index
// but that of expiresOn, once a day. It need not look at the session's row,
// because Invalidate changes this one too.
const rotateQuery = `
UPDATE "sessionStoreToken" SET
  "generation" = "generation" + 1, "createdAt" = now(), "issuedAt" = now(),
  "settledAt" = GREATEST(now(), "issuedAt" + $5::interval),
  "expiresAt" = LEAST(now() + COALESCE("refreshTokenTtl", $7) * interval '1 s', "sessionExpiresAt"),
  "expiresOn" = (LEAST(now() + COALESCE("refreshTokenTtl", $7) * interval '1 s', "sessionExpiresAt") AT TIME ZONE 'UTC')::date,
  "accessGeneration" = "accessGeneration" + 1, "confirmedAt" = NULL,
  "accessExpiresAt" = LEAST(now() + COALESCE("accessTokenTtl", $6) * interval '1 s', "sessionExpiresAt"),
  "clientUserAgent" = $8, "clientIp" = $9::text::inet
WHERE "id" = $2 AND "session" = $1 AND "refreshToken" IS NULL AND "generation" = $3
  AND ("issuedAt" IS NULL OR "issuedAt" <= now() - $4::interval)
  AND "revokedAt" IS NULL AND "expiresAt" > now()
RETURNING "issuedAt", "expiresAt", "accessGeneration", "accessExpiresAt"`

// rotateNewest rotates the pair if the token is its newest one and its time
// has come. Otherwise nothing is changed and the error is pgx.ErrNoRows.
func (s *Store) rotateNewest(ctx context.Context, p presented) (next pair, now time.Time, err error) {
	claims := p.claims
	err = s.pool.QueryRow(ctx, rotateQuery, arg(claims.SessionID), arg(claims.TokenID), claims.Generation,
		freshGraces*s.cfg.Grace, settleGraces*s.cfg.Grace,
		seconds(s.cfg.Lifetimes.AccessToken), seconds(s.cfg.Lifetimes.RefreshToken),
		orNull(p.client.UserAgent), orNull(p.client.IP),
	).Scan(&now, &next.ExpiresAt, &next.AccessGeneration, &next.AccessExpiresAt)
	if err != nil {
		return pair{}, now, err
	}
	next.SessionID, next.Subject = claims.SessionID, claims.Subject
	next.ID, next.Generation = claims.TokenID, claims.Generation+1
	next.CreatedAt, next.IssuedAt = now, now
	return next, now, nil
}

// decideLocked is every other case: it locks the session row and the pair's
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
			return s.recordConfirmations(ctx, tx, map[uuid.UUID]accessVersion{p.ID: {p.AccessGeneration, p.mintedAt()}})
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
SELECT clock_timestamp(), s."subject", s."revokedAt" IS NOT NULL OR r."revokedAt" IS NOT NULL, r."sessionExpiresAt",
  r."accessTokenTtl", r."refreshTokenTtl",
  r."generation", r."createdAt", r."issuedAt", r."settledAt", r."expiresAt", r."lateRetryGeneration", r."lateRetries",
  r."accessGeneration", r."accessExpiresAt", r."confirmedAt"
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id"
WHERE s."id" = $1 AND r."id" = $2 AND r."refreshToken" IS NULL`

func lockPair(ctx context.Context, tx pgx.Tx, claims tokens.Claims) (p pair, now time.Time, err error) {
	p.SessionID, p.ID = claims.SessionID, claims.TokenID
	var subject *string
	var end, issuedAt, settledAt, accessExpiresAt, confirmedAt *time.Time
	var accessTTL, refreshTTL *int
	var lateRetryGeneration *int64

	batch := &pgx.Batch{} // one round trip for both
	batch.Queue(lockPairQuery, arg(p.SessionID), arg(p.ID))
	batch.Queue(readPairQuery, arg(p.SessionID), arg(p.ID)).QueryRow(func(row pgx.Row) error {
		return row.Scan(&now, &subject, &p.Revoked, &end, &accessTTL, &refreshTTL,
			&p.Generation, &p.CreatedAt, &issuedAt, &settledAt, &p.ExpiresAt, &lateRetryGeneration, &p.LateRetries,
			&p.AccessGeneration, &accessExpiresAt, &confirmedAt)
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return pair{}, now, err
	}
	p.Subject, p.End, p.IssuedAt, p.ConfirmedAt = orZero(subject), orZero(end), orZero(issuedAt), orZero(confirmedAt)
	p.SettledAt, p.LateRetryGeneration, p.AccessExpiresAt = orZero(settledAt), orZero(lateRetryGeneration), orZero(accessExpiresAt)
	p.Lifetimes.AccessToken = time.Duration(orZero(accessTTL)) * time.Second
	p.Lifetimes.RefreshToken = time.Duration(orZero(refreshTTL)) * time.Second
	return p, now, nil
}

const writePairQuery = `
UPDATE "sessionStoreToken" SET "generation" = $2, "createdAt" = $3, "issuedAt" = $4, "settledAt" = $5,
  "expiresAt" = $6::timestamptz, "expiresOn" = ($6::timestamptz AT TIME ZONE 'UTC')::date,
  "lateRetryGeneration" = $7, "lateRetries" = $8,
  "accessGeneration" = $9, "accessExpiresAt" = $10, "confirmedAt" = $11,
  "clientUserAgent" = $12, "clientIp" = $13::text::inet
WHERE "id" = $1`

func writePair(ctx context.Context, tx pgx.Tx, p pair, client Client) error {
	_, err := tx.Exec(ctx, writePairQuery, arg(p.ID),
		p.Generation, p.CreatedAt, orNull(p.IssuedAt), orNull(p.SettledAt), p.ExpiresAt,
		orNull(p.LateRetryGeneration), p.LateRetries,
		p.AccessGeneration, p.AccessExpiresAt, orNull(p.ConfirmedAt),
		orNull(client.UserAgent), orNull(client.IP))
	return err
}
