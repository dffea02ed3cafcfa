// Package recognised records in the database what live sessions are recognised by, and
// detects what of that a configuration lacks. None of it is on the path of a request.
package recognised

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/era"
	"github.com/latchkey-sessions/latchkey/internal/isolation"
)

// Every is how often the marks in use are noted again. A mark may have been used for
// that much longer than it was last noted.
const Every = 15 * time.Minute

// soon is when it is noted again if that failed.
const soon = time.Second

// MostCounted is where the count of sessions ends.
const MostCounted = 1000

// defaultPatience is enough for a count that finds little in tens of millions of sessions.
const defaultPatience = time.Minute

// Kind is what a [Mark] is.
type Kind string

// The kinds of marks.
const (
	SigningKey Kind = "signing key"
	Issuer     Kind = "issuer"
	Audience   Kind = "audience"
	CompasKey  Kind = "compas key"
	DataKey    Kind = "data key"
	// Client is the id of a client. Sessions of one that is not configured are recognised
	// as long as their audience is.
	Client Kind = "client"
	// The keys that an operator decided to do without.
	DroppedKey     Kind = "dropped signing key"
	DroppedDataKey Kind = "dropped data key"
)

// Mark is something that tokens are recognised by.
type Mark struct {
	Kind  Kind
	Value string
}

// Missing is a mark that a configuration lacks.
type Missing struct {
	Mark
	// Since is when it was first noted, or a key in PostgreSQL first signed.
	Since time.Time
	// Sessions is how many live sessions it may have marked, up to [MostCounted].
	Sessions int
	// Uncounted says that PostgreSQL gave up counting them: there may be any number.
	Uncounted bool
	// Stored says that it is a key whose row is in PostgreSQL.
	Stored bool
}

// Config is what a replica recognises tokens by.
type Config struct {
	// Used are the marks of the tokens that it makes.
	Used []Mark
	// Known are further marks that it accepts.
	Known []Mark
	// AcceptsAudience reports whether it accepts tokens for further audiences, of which
	// there may be several, in the form of the rows. Nil means that it accepts none.
	AcceptsAudience func(form string) bool
	// Clients are the ids of its clients: a refresh does not change the audience of other
	// clients' tokens.
	Clients []string
	// KeyIDs are the ids of all its signing keys.
	KeyIDs []string
	// StoredKeys says that they are those in PostgreSQL, whose table says what is used.
	StoredKeys bool
	// Patience is how long a count may take. Zero means a minute.
	Patience time.Duration
}

// recognises reports whether tokens with the mark are recognised.
func (cfg Config) recognises(m Mark) bool {
	return slices.Contains(cfg.Used, m) || slices.Contains(cfg.Known, m) || m.Kind == Audience && cfg.AcceptsAudience != nil && cfg.AcceptsAudience(m.Value)
}

const notedQuery = `SELECT "kind", "value", "firstUsed" FROM "sessionStoreRecognised"
WHERE "kind" IN ('signing key', 'issuer', 'audience', 'compas key', 'data key', 'client') ORDER BY "firstUsed", "kind", "value"`

// The keys of replicas that have them in PostgreSQL: those that sign or did, until their
// last token has expired. A key that was removed there was removed on purpose.
const storedKeysQuery = `
SELECT 'signing key', "id", "signsFrom" FROM "sessionStoreSigningKey"
WHERE "signsFrom" <= now() AND ("verifiesUntil" IS NULL OR "verifiesUntil" > now()) AND "id" <> ALL ($1::text[])
  AND NOT EXISTS (SELECT FROM "sessionStoreRecognised" n WHERE n."kind" = 'dropped signing key' AND n."value" = "id")
ORDER BY "signsFrom", "id"`

const live = `"revokedAt" IS NULL AND "expiresAt" > now() AND COALESCE("era", 0)` + era.Continues

// A pair is marked when it is made. An access token names its audience, which a refresh
// replaces, unless its client is not configured. A row of Compas has no access token
// expiry, and its refresh row is still to be refreshed.
const countQuery = `
SELECT count(*) FROM (
  SELECT FROM "sessionStoreToken" t, (SELECT "lastUsed" + $3::interval AS "until" FROM "sessionStoreRecognised" WHERE "kind" = $1 AND "value" = $2) n
  WHERE ` + live + ` AND t."refreshToken" IS NULL AND CASE $1
    WHEN 'compas key' THEN t."accessExpiresAt" IS NULL
    WHEN 'audience' THEN (t."accessExpiresAt" > now() OR t."client" <> ALL ($5::text[])) AND COALESCE(t."audience" = $2, t."createdAt" <= n."until")
    WHEN 'client' THEN t."client" = $2
    WHEN 'data key' THEN EXISTS (SELECT FROM "sessionStore" s WHERE s."id" = t."session" AND s."data" #>> '{}' LIKE 'latchkey-sealed:' || $2 || ':%')
    ELSE t."accessExpiresAt" IS NOT NULL AND t."createdAt" <= n."until" END
  LIMIT $4) s`

const countAllQuery = `
SELECT count(*) FROM (SELECT FROM "sessionStoreToken" WHERE "refreshToken" IS NULL AND ` + live + ` AND "createdAt" >= $1 LIMIT $2) s`

// Lacks returns the noted marks that the configuration does not have, including those that
// no live session has any longer. Sessions are read only for marks that it lacks.
func Lacks(ctx context.Context, pool *pgxpool.Pool, cfg Config) ([]Missing, error) {
	noted, err := missing(ctx, pool, notedQuery)
	if err != nil {
		return nil, err
	}
	var lacks []Missing
	for _, m := range noted {
		if cfg.recognises(m.Mark) {
			continue
		}
		if err := cfg.count(ctx, pool, &m, countQuery, string(m.Kind), m.Value, Every, MostCounted, cfg.Clients); err != nil {
			return nil, err
		}
		lacks = append(lacks, m)
	}
	if !cfg.StoredKeys {
		stored, err := missing(ctx, pool, storedKeysQuery, cfg.KeyIDs)
		if err != nil {
			return nil, err
		}
		for _, m := range stored {
			if err := cfg.count(ctx, pool, &m, countAllQuery, m.Since, MostCounted); err != nil {
				return nil, err
			}
			m.Stored = true
			lacks = append(lacks, m)
		}
	}
	return lacks, nil
}

// count counts the live sessions with the missing marks, unless that takes too long.
func (cfg Config) count(ctx context.Context, pool *pgxpool.Pool, m *Missing, query string, args ...any) error {
	err := pgx.BeginFunc(ctx, isolation.Pool{Pool: pool}, func(tx pgx.Tx) error {
		patience := strconv.FormatInt(cmp.Or(cfg.Patience, defaultPatience).Milliseconds(), 10)
		if _, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', $1, true)`, patience); err != nil {
			return err
		}
		return tx.QueryRow(ctx, query, args...).Scan(&m.Sessions)
	})
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok && answer.Code == queryCanceled {
		m.Uncounted = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("count the sessions of a %s: %w", m.Kind, err)
	}
	return nil
}

const queryCanceled = "57014"

func missing(ctx context.Context, pool *pgxpool.Pool, query string, args ...any) ([]Missing, error) {
	var all []Missing
	err := (isolation.Pool{Pool: pool}).Read(ctx, func(rows pgx.Rows) (err error) {
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (m Missing, err error) {
			return m, row.Scan(&m.Kind, &m.Value, &m.Since)
		})
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read what sessions are recognised by: %w", err)
	}
	return all, nil
}

// If the database's clock was ahead, pairs were made until then.
const noteQuery = `
INSERT INTO "sessionStoreRecognised" ("kind", "value") SELECT * FROM unnest($1::text[], $2::text[]) ORDER BY 1, 2
ON CONFLICT ("kind", "value") DO UPDATE SET "lastUsed" = GREATEST("sessionStoreRecognised"."lastUsed", EXCLUDED."lastUsed")`

// Note notes what the replica's tokens are recognised by from now on.
func Note(ctx context.Context, pool *pgxpool.Pool, cfg Config) error {
	kinds, values := columns(cfg.Used)
	if _, err := (isolation.Pool{Pool: pool}).Exec(ctx, noteQuery, kinds, values); err != nil {
		return fmt.Errorf("note what sessions are recognised by: %w", err)
	}
	return nil
}

// Keep notes it again, periodically, until ctx ends. If isNoted is false, the first time is
// soon: even a mark used for less than [Every] must be recorded. The first of several
// failures is logged.
func Keep(ctx context.Context, pool *pgxpool.Pool, cfg Config, isNoted bool, failed func(error)) {
	for {
		wait := Every
		if !isNoted {
			wait = soon
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		err := Note(ctx, pool, cfg)
		if err != nil && isNoted && ctx.Err() == nil {
			failed(err)
		}
		isNoted = err == nil
	}
}

const forgetQuery = `
DELETE FROM "sessionStoreRecognised" n USING unnest($1::text[], $2::text[]) f("kind", "value")
WHERE n."kind" = f."kind" AND n."value" = f."value"`

// Forget forgets marks.
func Forget(ctx context.Context, pool *pgxpool.Pool, marks []Mark) error {
	kinds, values := columns(marks)
	if _, err := (isolation.Pool{Pool: pool}).Exec(ctx, forgetQuery, kinds, values); err != nil {
		return fmt.Errorf("forget what sessions were recognised by: %w", err)
	}
	return nil
}

func columns(marks []Mark) (kinds, values []string) {
	for _, m := range marks {
		kinds, values = append(kinds, string(m.Kind)), append(values, m.Value)
	}
	return kinds, values
}

const isDroppedQuery = `
SELECT EXISTS (SELECT FROM "sessionStoreRecognised" WHERE "kind" = 'dropped data key' AND "value" = $1)`

// IsDropped reports whether an operator decided to do without a key of session data.
func IsDropped(ctx context.Context, pool *pgxpool.Pool, dataKey string) (dropped bool, err error) {
	err = (isolation.Pool{Pool: pool}).QueryRow(ctx, isDroppedQuery, dataKey).Scan(&dropped)
	return dropped, err
}

// Drop makes the marks that the configuration lacks no longer a reason to refuse: it was
// chosen without them, or no live session has them.
func Drop(ctx context.Context, pool *pgxpool.Pool, lacks []Missing) error {
	var dropped, forgotten []Mark
	for _, m := range lacks {
		if !m.Stored {
			forgotten = append(forgotten, m.Mark)
		} else if m.Sessions > 0 || m.Uncounted {
			dropped = append(dropped, Mark{DroppedKey, m.Value})
		}
	}
	if err := Note(ctx, pool, Config{Used: dropped}); err != nil {
		return err
	}
	return Forget(ctx, pool, forgotten)
}
