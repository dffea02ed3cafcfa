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
	proven string // the thumbprint of the key that he has proven to have; empty for none
}

func (p presented) keys() refresh.Keys {
	return refresh.Keys{Token: p.claims.KeyThumbprint, Proven: p.proven}
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
// [ErrUnavailable] says nothing about the token. A token that is bound to a key
// is [ErrNotProven] here: see [Store.RefreshTokensWithProof].
func (s *Store) RefreshTokens(ctx context.Context, refreshToken string, client Client) (Refreshed, error) {
	return s.RefreshTokensWithProof(ctx, refreshToken, "", client)
}

func (s *Store) refresh(ctx context.Context, refreshToken, proven string, client Client) (Refreshed, error) {
	claims, err := s.verify(refreshToken, tokens.RefreshToken)
	if err != nil {
		return s.refreshCompas(ctx, refreshToken, proven, client, err)
	}
	if client, err = client.clean(); err != nil {
		return Refreshed{}, err
	}
	if claims.KeyThumbprint != "" && claims.KeyThumbprint != proven {
		return Refreshed{}, ErrNotProven // refresh.Decide would say nothing else
	}
	presented := presented{claims: claims, client: Client{UserAgent: client.UserAgent, IP: client.IP}, proven: proven}
	outcome := Rotated
	next, err := s.rotateNewest(ctx, presented)
	now := next.IssuedAt
	if isNoRows(err) {
		var d refresh.Decision
		d, now, err = s.decideLocked(ctx, presented)
		if errors.Is(err, ErrNotFound) {
			d, now, err = s.healCompas(ctx, presented)
		}
		outcome, next = d.Outcome, d.Next
		if err == nil {
			err = refusal(d, claims)
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

// refusal is the error for an outcome that gives no pair, nil for any other.
func refusal(d refresh.Decision, presented tokens.Claims) error {
	switch d.Outcome {
	case Refused:
		if d.Unproven {
			return ErrNotProven
		}
		return ErrEnded
	case Stolen:
		return &ReuseError{SessionID: presented.SessionID, Subject: d.Next.Subject, Theft: d.Theft, Behind: d.Next.Generation - presented.Generation}
	case Rotated, StillFresh, Raced, RetriedLate, Healed:
	}
	return nil
}

func (s *Store) rules() refresh.Rules {
	return refresh.Rules{Grace: s.cfg.Grace, LateRetryLimit: s.cfg.LateRetryLimit, Defaults: s.cfg.Lifetimes}
}

// decideLocked is every other case: it locks the session row and the pair's
// row, decides, and has the outcome committed before it returns, a theft's
// revocation too.
func (s *Store) decideLocked(ctx context.Context, t presented) (d refresh.Decision, now time.Time, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var p refresh.Pair
		if p, now, err = lockPair(ctx, tx, t.claims); err != nil {
			return err
		}
		d = refresh.Decide(p, t.keys(), t.claims.Generation, now, s.rules())
		switch {
		case d.Outcome == Stolen:
			if err := invalidate(ctx, tx, p.SessionID, ""); err != nil {
				return err
			}
			return s.reportLeak(ctx, tx, d, t, now)
		case d.Next == p:
			return nil
		case d.Outcome == StillFresh && d.Next.BoundTo == p.BoundTo:
			return s.recordConfirmations(ctx, tx, map[uuid.UUID]accessVersion{p.ID: {p.AccessGeneration, p.MintedAt()}})
		default:
			return writePair(ctx, tx, d.Next, t.client)
		}
	})
	switch {
	case isNoRows(err):
		return refresh.Decision{}, now, ErrNotFound
	case err != nil:
		return refresh.Decision{}, now, unavailable("refresh", err)
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
  r."accessGeneration", r."accessExpiresAt", r."confirmedAt", r."dpopJkt"
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id"
WHERE s."id" = $1 AND r."id" = $2 AND r."refreshToken" IS NULL`

func lockPair(ctx context.Context, tx pgx.Tx, claims tokens.Claims) (p refresh.Pair, now time.Time, err error) {
	p.SessionID, p.ID = claims.SessionID, claims.TokenID
	var subject, boundTo *string
	var end, issuedAt, settledAt, accessExpiresAt, confirmedAt *time.Time
	var accessTTL, refreshTTL *int
	var lateRetryGeneration *int64

	batch := &pgx.Batch{} // one round trip for both
	batch.Queue(lockPairQuery, arg(p.SessionID), arg(p.ID))
	batch.Queue(readPairQuery, arg(p.SessionID), arg(p.ID)).QueryRow(func(row pgx.Row) error {
		return row.Scan(&now, &subject, &p.Revoked, &end, &accessTTL, &refreshTTL,
			&p.Generation, &p.CreatedAt, &issuedAt, &settledAt, &p.ExpiresAt, &lateRetryGeneration, &p.LateRetries,
			&p.AccessGeneration, &accessExpiresAt, &confirmedAt, &boundTo)
	})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return refresh.Pair{}, now, err
	}
	p.BoundTo = orZero(boundTo)
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
  "clientUserAgent" = $12, "clientIp" = $13::text::inet, "dpopJkt" = $14
WHERE "id" = $1`

func writePair(ctx context.Context, tx pgx.Tx, p refresh.Pair, client Client) error {
	_, err := tx.Exec(ctx, writePairQuery, arg(p.ID),
		p.Generation, p.CreatedAt, orNull(p.IssuedAt), orNull(p.SettledAt), p.ExpiresAt,
		orNull(p.LateRetryGeneration), p.LateRetries,
		p.AccessGeneration, p.AccessExpiresAt, orNull(p.ConfirmedAt),
		orNull(client.UserAgent), orNull(client.IP), orNull(p.BoundTo))
	return err
}
