package sessionstore

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// Patch is what [Store.Patch] changes in a session. Zero members leave it unchanged.
type Patch struct {
	// Lifetimes are the session's own from now on. If either RefreshToken or Session
	// is given, both are counted from now. AccessToken applies from the next access
	// token on.
	Lifetimes Lifetimes
	// Label is the client's name, empty for none. It is cut off at 200 bytes.
	Label *string
}

// patchQuery follows lockSessionQuery, as setClaimsQuery does, and so sees a pair that was
// made meanwhile for a token of Compas. It locks the session's pair, and decides by what it
// then finds. It alone writes everything that a refresh reads. While a pair is still one of
// Compas, its row keeps what was patched until it is taken over. The condition that reads
// "told" is always true.
const patchQuery = `
WITH "old" ("id", "subject", "checksum", "label", "userAgent", "ip", "createdAt", "updatedAt", "issuedAt", "expiresAt", "revokedAt", "lastUserAgent", "lastIp", "client",
  "live", "access", "refresh", "end", "accessExpiresAt", "fixed", "claims", "xid") AS MATERIALIZED (
  SELECT ` + sessionColumns + `, ` + live + `, COALESCE($3::integer, r."accessTokenTtl", $7::integer), COALESCE($4::integer, r."refreshTokenTtl", $8::integer),
    COALESCE(now() + $5::integer * interval '1 s', r."sessionExpiresAt"),
    GREATEST(r."accessExpiresAt", (SELECT max(o."accessExpiresAt") FROM "sessionStoreToken" o WHERE o."session" = s."id")), COALESCE(r."accessTokenTtl" = r."refreshTokenTtl", false), COALESCE(r."claims", ''), pg_current_xact_id()
  FROM "sessionStore" s
  JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL AND r."accessExpiresAt" IS NOT NULL
  WHERE s."id" = $1 AND ($2::text IS NULL OR s."subject" = $2)
  ` + best + `
  FOR NO KEY UPDATE OF s, r
), "new" AS (
  SELECT *, "live" AND (COALESCE($3, $4, $5) IS NULL OR NOT "fixed" AND "access" < "refresh" AND ("refresh" < $9::integer OR "end" IS NOT NULL)
    AND (COALESCE($4, $5) IS NULL OR "next" >= "accessExpiresAt")) AS "fits"
  FROM (SELECT *, CASE WHEN COALESCE($4, $5) IS NULL THEN "expiresAt" ELSE LEAST(now() + "refresh" * interval '1 s', "end") END AS "next" FROM "old") o
), "changed" AS (
  UPDATE "sessionStoreToken" t SET "accessTokenTtl" = COALESCE($3, t."accessTokenTtl"), "refreshTokenTtl" = COALESCE($4, t."refreshTokenTtl"), "sessionExpiresAt" = n."end",
    "expiresAt" = COALESCE(n."ends", t."expiresAt"), "expiresOn" = COALESCE((n."ends" AT TIME ZONE 'UTC')::date, t."expiresOn"),
    "supersededBelow" = CASE WHEN ` + patchSupersedes + ` THEN t."accessGeneration" ELSE t."supersededBelow" END,
    "supersededAt" = CASE WHEN ` + patchSupersedes + ` THEN GREATEST(n."now", t."createdAt", t."issuedAt") ELSE t."supersededAt" END,
    "supersededXid" = CASE WHEN ` + patchSupersedes + ` THEN n."xid" ELSE t."supersededXid" END
  FROM (SELECT *, CASE WHEN COALESCE($4, $5) IS NOT NULL THEN "next" END AS "ends", now() AS "now" FROM "new") n
  WHERE n."fits" AND COALESCE($3, $4, $5) IS NOT NULL AND t."session" = n."id" AND t."refreshToken" IS NULL AND t."accessExpiresAt" IS NOT NULL AND t."revokedAt" IS NULL
  RETURNING t."supersededXid" = n."xid" AS "supersedes"
), "compas" AS (
  UPDATE "sessionStoreToken" t SET "accessTokenTtl" = COALESCE($3, t."accessTokenTtl"), "refreshTokenTtl" = COALESCE($4, t."refreshTokenTtl"), "sessionExpiresAt" = n."end"
  FROM "new" n
  WHERE n."fits" AND COALESCE($3, $4, $5) IS NOT NULL AND t."session" = n."id" AND t."refreshToken" IS NULL AND t."accessExpiresAt" IS NULL AND t."revokedAt" IS NULL
), "told" AS MATERIALIZED (
  SELECT ` + notify + ` AS "is" FROM "changed" WHERE "supersedes" LIMIT 1
), "renamed" AS (
  UPDATE "sessionStore" s SET "clientLabel" = NULLIF($6::text, '')
  FROM "new" n
  WHERE n."fits" AND $6::text IS NOT NULL AND s."id" = n."id"
)
SELECT "id", "subject", "checksum", CASE WHEN $6::text IS NULL THEN "label" ELSE NULLIF($6::text, '') END, "userAgent", "ip", "createdAt", "updatedAt", "issuedAt", "next", "revokedAt", "lastUserAgent", "lastIp", "client",
  "live" AND (SELECT count(*) FROM "told") >= 0, "fits", "access", "refresh", "end" IS NOT NULL, "accessExpiresAt", "fixed", "claims"
FROM "new"`

// patchSupersedes reports whether replaced access tokens of pair t might outlive
// the session.
const patchSupersedes = `n."ends" < ` + replacedUntil + ` AND t."accessGeneration" > COALESCE(t."supersededBelow", 0)`

// Patch changes a live session's lifetimes and label, and returns the session without
// its data. It has no precondition: the values set do not depend on what was read, and members that are not named are
// not changed. It is safe to repeat; lifetimes then count from the repetition.
//
// A session cannot be made to end before its newest access token does: verifiers without
// a database would accept the token for longer. [Store.Invalidate] ends it. Earlier
// access tokens, which a refresh has replaced and which may have longer lifetimes, are
// superseded if the session might end before them, as by [Store.SetClaims].
//
// The lifetimes of a session without a refresh token are not changed.
//
// Errors: [ArgumentError], [ErrNotFound], [ErrEnded]. A session of Compas is not found
// until it has been refreshed. Other pairs that Compas issued for it follow the patch
// when they are taken over.
func (s *Store) Patch(ctx context.Context, id uuid.UUID, patch Patch) (Session, error) {
	return s.patch(ctx, id, "", patch)
}

// PatchOwn is [Store.Patch] for a session of the given subject; another's is
// [ErrNotFound].
func (s *Store) PatchOwn(ctx context.Context, subject string, id uuid.UUID, patch Patch) (Session, error) {
	if subject == "" {
		return Session{}, ErrNotFound
	}
	return s.patch(ctx, id, subject, patch)
}

func (s *Store) patch(ctx context.Context, id uuid.UUID, subject string, patch Patch) (session Session, err error) {
	result := Result{Operation: OperationPatch}
	ctx = s.begin(ctx, OperationPatch)
	defer func() {
		result.Err = err
		s.end(ctx, result)
	}()

	own := patch.Lifetimes
	for _, each := range eachLifetime {
		if err := s.cfg.checkLifetime(each, each.of(own)); err != nil {
			return Session{}, err
		}
	}
	if patch.Label != nil {
		label := cutText(*patch.Label, maxLabelBytes)
		patch.Label = &label
	}
	var is patched
	batch := &pgx.Batch{}
	batch.Queue(lockSessionQuery, pgvalue.UUID(id))
	batch.Queue(patchQuery, pgvalue.UUID(id), pgvalue.OrNull(subject),
		pgvalue.OrNull(pgvalue.Seconds(own.AccessToken)), pgvalue.OrNull(pgvalue.Seconds(own.RefreshToken)), pgvalue.OrNull(pgvalue.Seconds(own.Session)), patch.Label,
		pgvalue.Seconds(s.cfg.Lifetimes.AccessToken), pgvalue.Seconds(s.cfg.Lifetimes.RefreshToken), pgvalue.Seconds(NoIdleTimeout),
	).QueryRow(func(row pgx.Row) (err error) {
		session, err = scanSession(s.cfg.Tokens.ClientID, row, &is.live, &is.fits, &is.access, &is.refresh, &is.bounded, &is.accessExpiresAt, &is.fixed, &is.claims)
		return err
	})
	switch err = s.pool.SendBatch(ctx, batch).Close(); {
	case pgvalue.IsNoRows(err):
		return Session{}, ErrNotFound
	case err != nil:
		return Session{}, sessionerr.Unavailable("patch a session", err)
	case !is.live:
		return Session{}, ErrEnded
	case !is.fits:
		return Session{}, is.refusal(own)
	}
	result.Changed, result.Subject, result.ClientID = id, session.Subject, session.ClientID
	if err := session.readClaims(is.claims); err != nil {
		return Session{}, err
	}
	session.Checksum, session.Claims = "", nil // as in lists
	return session, nil
}

// patched is the session as the patch would leave it.
type patched struct {
	live, fits      bool
	access, refresh int
	bounded         bool // has an end
	accessExpiresAt time.Time
	fixed           bool // has no refresh token: see refresh.Pair.HasRefreshToken
	claims          string
}

// refusal says why lifetimes do not fit the session.
func (p patched) refusal(own Lifetimes) error {
	access, refresh := time.Duration(p.access)*time.Second, time.Duration(p.refresh)*time.Second
	switch {
	case p.fixed:
		given := slices.IndexFunc(eachLifetime[:], func(each lifetime) bool { return each.of(own) != 0 })
		return argumentError(eachLifetime[given].field, "not allowed: the session has no refresh token, and ends with its access token")
	case refresh <= access && own.RefreshToken == 0:
		return argumentError("access_token_ttl", "%v is too long: the session's refresh token lives for %v, and must outlive it", access, refresh)
	case refresh <= access:
		return argumentError("refresh_token_ttl", "%v is too short: the refresh token must outlive the access token's %v", refresh, access)
	case refresh == NoIdleTimeout && !p.bounded:
		return errEndless
	case own.Session != 0 && (own.RefreshToken == 0 || own.Session < own.RefreshToken):
		return argumentError("session_ttl", "%v is too short: the session must outlive its access token, which expires at %s; it can be ended at once", own.Session, p.accessExpiresAt.UTC().Format(time.RFC3339))
	default:
		return argumentError("refresh_token_ttl", "%v is too short: the session must outlive its access token, which expires at %s; it can be ended at once", own.RefreshToken, p.accessExpiresAt.UTC().Format(time.RFC3339))
	}
}
