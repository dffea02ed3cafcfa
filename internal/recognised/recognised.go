// Package recognised notes in the database what live sessions are recognised by, and finds
// out what of it a configuration lacks. Nothing of it is on the path of a request.
package recognised

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Every is how often what is in use is noted again. What was noted last may have been
// used for that much longer.
const Every = 15 * time.Minute

// MostCounted is where the count of sessions ends.
const MostCounted = 1000

// Kind is what a [Mark] is.
type Kind string

// The kinds of marks.
const (
	SigningKey Kind = "signing key"
	Issuer     Kind = "issuer"
	Audience   Kind = "audience"
	CompasKey  Kind = "compas key"
	// The keys that somebody decided to do without.
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
	// Stored tells that it is a key whose row is in PostgreSQL.
	Stored bool
}

// Config is what a replica recognises tokens by.
type Config struct {
	// Used are the marks of the tokens that it makes.
	Used []Mark
	// Known are further marks that it accepts.
	Known []Mark
	// KeyIDs are the ids of all its signing keys.
	KeyIDs []string
	// StoredKeys tells that they are those in PostgreSQL, whose table says what is used.
	StoredKeys bool
}

const notedQuery = `SELECT "kind", "value", "firstUsed" FROM "sessionStoreRecognised"
WHERE "kind" IN ('signing key', 'issuer', 'audience', 'compas key') ORDER BY "firstUsed", "kind", "value"`

// The keys of replicas that have them in PostgreSQL: those that sign or did, until their
// last token has expired. A key that was removed there was meant to be.
const storedKeysQuery = `
SELECT 'signing key', "id", "signsFrom" FROM "sessionStoreSigningKey"
WHERE "signsFrom" <= now() AND ("verifiesUntil" IS NULL OR "verifiesUntil" > now()) AND "id" <> ALL ($1::text[])
  AND NOT EXISTS (SELECT FROM "sessionStoreRecognised" n WHERE n."kind" = 'dropped signing key' AND n."value" = "id")
ORDER BY "signsFrom", "id"`

const live = `"revokedAt" IS NULL AND "expiresAt" > now()`

// A pair is marked when it is made. An access token says which audience it is for, and a
// refresh makes it another one. Whoever has a refresh row is an access row of Compas.
const countQuery = `
SELECT count(*) FROM (
  SELECT FROM "sessionStoreToken" t, (SELECT "lastUsed" + $3::interval AS "until" FROM "sessionStoreRecognised" WHERE "kind" = $1 AND "value" = $2) n
  WHERE ` + live + ` AND CASE $1
    WHEN 'compas key' THEN t."refreshToken" IS NOT NULL
    WHEN 'audience' THEN t."accessExpiresAt" > now() AND COALESCE(t."audience" = $2, t."createdAt" <= n."until")
    ELSE t."refreshToken" IS NULL AND t."createdAt" <= n."until" END
  LIMIT $4) s`

const countAllQuery = `
SELECT count(*) FROM (SELECT FROM "sessionStoreToken" WHERE "refreshToken" IS NULL AND ` + live + ` AND "createdAt" >= $1 LIMIT $2) s`

// Lacks returns the noted marks that the configuration does not have, also those that no
// live session has any more. Sessions are only looked at for marks that it lacks.
func Lacks(ctx context.Context, pool *pgxpool.Pool, cfg Config) ([]Missing, error) {
	noted, err := missing(ctx, pool, notedQuery)
	if err != nil {
		return nil, err
	}
	var lacks []Missing
	for _, m := range noted {
		if slices.Contains(cfg.Used, m.Mark) || slices.Contains(cfg.Known, m.Mark) {
			continue
		}
		if err := pool.QueryRow(ctx, countQuery, string(m.Kind), m.Value, Every, MostCounted).Scan(&m.Sessions); err != nil {
			return nil, fmt.Errorf("count the sessions of a %s: %w", m.Kind, err)
		}
		lacks = append(lacks, m)
	}
	if !cfg.StoredKeys {
		stored, err := missing(ctx, pool, storedKeysQuery, cfg.KeyIDs)
		if err != nil {
			return nil, err
		}
		for _, m := range stored {
			if err := pool.QueryRow(ctx, countAllQuery, m.Since, MostCounted).Scan(&m.Sessions); err != nil {
				return nil, fmt.Errorf("count the sessions of a %s: %w", m.Kind, err)
			}
			m.Stored = true
			lacks = append(lacks, m)
		}
	}
	return lacks, nil
}

func missing(ctx context.Context, pool *pgxpool.Pool, query string, args ...any) ([]Missing, error) {
	rows, _ := pool.Query(ctx, query, args...) // rows have its error
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m Missing, err error) {
		return m, row.Scan(&m.Kind, &m.Value, &m.Since)
	})
	if err != nil {
		return nil, fmt.Errorf("read what sessions are recognised by: %w", err)
	}
	return all, nil
}

const noteQuery = `
INSERT INTO "sessionStoreRecognised" ("kind", "value") SELECT * FROM unnest($1::text[], $2::text[]) ORDER BY 1, 2
ON CONFLICT ("kind", "value") DO UPDATE SET "lastUsed" = now()`

// Note notes what the replica's tokens are recognised by from now on.
func Note(ctx context.Context, pool *pgxpool.Pool, cfg Config) error {
	kinds, values := columns(cfg.Used)
	if _, err := pool.Exec(ctx, noteQuery, kinds, values); err != nil {
		return fmt.Errorf("note what sessions are recognised by: %w", err)
	}
	return nil
}

const forgetQuery = `
DELETE FROM "sessionStoreRecognised" n USING unnest($1::text[], $2::text[]) f("kind", "value")
WHERE n."kind" = f."kind" AND n."value" = f."value"`

// Forget forgets marks.
func Forget(ctx context.Context, pool *pgxpool.Pool, marks []Mark) error {
	kinds, values := columns(marks)
	if _, err := pool.Exec(ctx, forgetQuery, kinds, values); err != nil {
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

// IsDropped tells whether somebody decided to do without a key of session data.
func IsDropped(ctx context.Context, pool *pgxpool.Pool, dataKey string) (dropped bool, err error) {
	err = pool.QueryRow(ctx, isDroppedQuery, dataKey).Scan(&dropped)
	return dropped, err
}

// Drop has the marks that the configuration lacks refused no more: it was chosen without
// them, or no live session has them.
func Drop(ctx context.Context, pool *pgxpool.Pool, lacks []Missing) error {
	var dropped, forgotten []Mark
	for _, m := range lacks {
		if !m.Stored {
			forgotten = append(forgotten, m.Mark)
		} else if m.Sessions > 0 {
			dropped = append(dropped, Mark{DroppedKey, m.Value})
		}
	}
	if err := Note(ctx, pool, Config{Used: dropped}); err != nil {
		return err
	}
	return Forget(ctx, pool, forgotten)
}
