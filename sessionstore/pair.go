package sessionstore

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// presented is a verified refresh token, and who presented it.
type presented struct {
	claims tokens.Claims
	client Client
	proven string   // the thumbprint of the key of which the client has proven possession; empty for none
	scope  []string // what the client requests; only the row shows whether the session has it
	// resources are what the access token is requested for, and clientID is the client that
	// the request names: both are also compared with the row.
	resources []string
	clientID  string
	wanted    wanted    // by the program, if it comes to a new pair
	compas    uuid.UUID // the row of Compas, if Compas issued the token; the claims are then as if we had
}

func (p presented) keys() refresh.Keys {
	return refresh.Keys{Token: p.claims.KeyThumbprint, Proven: p.proven}
}

// wanted is what the program specifies for a new pair.
type wanted struct {
	claims    string // in canonical form, {} for none; empty for unchanged
	lifetimes Lifetimes
}

const lockPairQuery = `
SELECT 1 FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id"
WHERE s."id" = $1 AND r."id" = $2 AND r."refreshToken" IS NULL
FOR NO KEY UPDATE OF s, r`

// readPairQuery runs after the locks were taken: the rows and the time are
// those of the moment of decision.
const readPairQuery = `
SELECT clock_timestamp(), s."subject", s."revokedAt" IS NOT NULL OR r."revokedAt" IS NOT NULL OR NOT ` + ofThisEra + `, r."sessionExpiresAt",
  r."accessTokenTtl", r."refreshTokenTtl",
  r."generation", r."createdAt", r."issuedAt", r."settledAt", r."expiresAt", r."lateRetryGeneration", r."lateRetries",
  r."accessGeneration", r."accessExpiresAt", r."confirmedAt", r."dpopJkt", r."audience", COALESCE(r."claims", ''), COALESCE(r."client", ''), r."grace", COALESCE(r."era", 0)
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id"
WHERE s."id" = $1 AND r."id" = $2 AND r."refreshToken" IS NULL`

// sender is the pool or a transaction on it.
type sender interface {
	SendBatch(ctx context.Context, batch *pgx.Batch) pgx.BatchResults
}

// lockPair reads a pair in a transaction, or in a new one.
func lockPair(ctx context.Context, db sender, claims tokens.Claims) (p refresh.Pair, now time.Time, err error) {
	p.SessionID, p.ID = claims.SessionID, claims.TokenID
	var accessTTL, refreshTTL *int
	var grace *time.Duration
	var lateRetryGeneration *int64

	batch := &pgx.Batch{} // one round trip for both
	batch.Queue(lockPairQuery, pgvalue.UUID(p.SessionID), pgvalue.UUID(p.ID))
	batch.Queue(readPairQuery, pgvalue.UUID(p.SessionID), pgvalue.UUID(p.ID)).QueryRow(func(row pgx.Row) error {
		return row.Scan(pgvalue.TimeTo(&now), pgvalue.TextTo(&p.Subject), &p.Revoked, pgvalue.TimeTo(&p.End), &accessTTL, &refreshTTL,
			&p.Generation, pgvalue.TimeTo(&p.CreatedAt), pgvalue.TimeTo(&p.IssuedAt), pgvalue.TimeTo(&p.SettledAt), pgvalue.TimeTo(&p.ExpiresAt), &lateRetryGeneration, &p.LateRetries,
			&p.AccessGeneration, pgvalue.TimeTo(&p.AccessExpiresAt), pgvalue.TimeTo(&p.ConfirmedAt), pgvalue.TextTo(&p.BoundTo), pgvalue.TextTo(&p.Audience), &p.Claims, &p.Client, &grace, &p.Era)
	})
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return refresh.Pair{}, now, err
	}
	p.LateRetryGeneration = pgvalue.OrZero(lateRetryGeneration)
	p.Lifetimes.AccessToken = time.Duration(pgvalue.OrZero(accessTTL)) * time.Second
	p.Lifetimes.RefreshToken = time.Duration(pgvalue.OrZero(refreshTTL)) * time.Second
	p.Grace = pgvalue.OrZero(grace)
	return p, now, nil
}

// writeWantedQuery is writePairQuery for the columns that only a program can change at a
// refresh.
const writeWantedQuery = `UPDATE "sessionStoreToken" SET "claims" = $2, "accessTokenTtl" = $3, "refreshTokenTtl" = $4 WHERE "id" = $1`

func writeWanted(ctx context.Context, tx pgx.Tx, p refresh.Pair) error {
	_, err := tx.Exec(ctx, writeWantedQuery, pgvalue.UUID(p.ID), pgvalue.OrNull(p.Claims),
		pgvalue.OrNull(pgvalue.Seconds(p.Lifetimes.AccessToken)), pgvalue.OrNull(pgvalue.Seconds(p.Lifetimes.RefreshToken)))
	return err
}

const writePairQuery = `
UPDATE "sessionStoreToken" SET "generation" = $2, "createdAt" = $3, "issuedAt" = $4, "settledAt" = $5,
  "expiresAt" = $6::timestamptz, "expiresOn" = ($6::timestamptz AT TIME ZONE 'UTC')::date,
  "lateRetryGeneration" = $7, "lateRetries" = $8,
  "accessGeneration" = $9, "accessExpiresAt" = $10, "confirmedAt" = $11,
  "clientUserAgent" = $12, "clientIp" = $13::text::inet, "dpopJkt" = $14, "audience" = $15, "client" = $16, "grace" = $17
WHERE "id" = $1`

func writePair(ctx context.Context, tx pgx.Tx, p refresh.Pair, client Client) error {
	_, err := tx.Exec(ctx, writePairQuery, pgvalue.UUID(p.ID),
		p.Generation, p.CreatedAt, pgvalue.OrNull(p.IssuedAt), pgvalue.OrNull(p.SettledAt), p.ExpiresAt,
		pgvalue.OrNull(p.LateRetryGeneration), p.LateRetries,
		p.AccessGeneration, p.AccessExpiresAt, pgvalue.OrNull(p.ConfirmedAt),
		pgvalue.OrNull(client.UserAgent), pgvalue.OrNull(client.IP), pgvalue.OrNull(p.BoundTo), pgvalue.OrNull(p.Audience), pgvalue.OrNull(p.Client), pgvalue.OrNull(p.Grace))
	return err
}
