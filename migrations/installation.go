package migrations

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"
)

// RiverSchema is the PostgreSQL schema of the job queue's tables, for the first installation
// in a database: see [QueueSchema]. They have a schema of their own: an application that
// embeds Latchkey may run the same queue library itself, and would elect one leader for both.
const RiverSchema = "latchkey_river"

// ErrSchema says that the search_path does not lead to one installation and its job queue.
// What to do about it follows. A database may hold several installations, each in a schema.
var ErrSchema = errors.New("the schema is not clearly that of one installation")

// Querier is a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// installationQuery returns the schema in which tables are made, the one in which the connection finds an installation,
// whether only other schemas have one, and each job queue with the schema of the installation that it names, and
// whether that installation exists.
const installationQuery = `
WITH "installed" AS (
  SELECT c."oid", n."nspname" AS "schema" FROM pg_class c JOIN pg_namespace n ON n."oid" = c."relnamespace"
  WHERE c."relname" = '` + versionTable + `' AND c."relkind" = 'r'
)
SELECT COALESCE(current_schema(), ''), COALESCE((SELECT "schema" FROM "installed" WHERE "oid" = to_regclass('` + versionTable + `')), ''),
  EXISTS (SELECT FROM "installed") AND NOT EXISTS (SELECT FROM "installed" WHERE "schema" = current_schema()),
  COALESCE(q."nspname", ''), COALESCE(q."of", ''), EXISTS (SELECT FROM "installed" WHERE "schema" = q."of")
FROM (VALUES (1)) one LEFT JOIN (
  SELECT "nspname", obj_description("oid", 'pg_namespace') AS "of" FROM pg_namespace WHERE "nspname" ~ '^` + RiverSchema + `(_[a-z0-9_]+)?$'
) q ON true`

// queue is a job queue's schema.
type queue struct {
	schema string
	of     string // the installation's schema; empty if it was not recorded
	isHeld bool   // whether there is an installation
}

// QueueSchema returns the schema of the job queue of the installation that the search_path leads
// to. It is [RiverSchema] for the first installation of a database, and for each further one a
// name that follows its schema. It is [ErrSchema] where that is not clear: two installations
// on one queue would send each other's leak reports.
func QueueSchema(ctx context.Context, db Querier) (string, error) {
	var own, found string
	var onlyOthers bool
	var q queue
	var queues []queue
	rows, _ := db.Query(ctx, installationQuery) // rows have its error
	if _, err := pgx.ForEachRow(rows, []any{&own, &found, &onlyOthers, &q.schema, &q.of, &q.isHeld}, func() error {
		queues = append(queues, q)
		return nil
	}); err != nil {
		return "", fmt.Errorf("look for other installations: %w", err)
	}
	switch {
	case own == "":
		return "", fmt.Errorf("%w: no schema of the search_path is there: create it first", ErrSchema)
	case found != "" && found != own:
		return "", fmt.Errorf("%w: the search_path finds the installation in the schema %q, and would make new tables in %q: it must begin with the installation's schema", ErrSchema, found, own)
	}
	return chooseQueue(own, onlyOthers, queues)
}

// chooseQueue returns the queue's schema of an installation, by what the queues say.
func chooseQueue(own string, onlyOthers bool, queues []queue) (string, error) {
	further := furtherQueue(own)
	mine, first, lost := "", RiverSchema, queue{}
	for _, q := range queues {
		switch {
		case q.of == own && (mine == "" || q.schema == RiverSchema || q.schema == further),
			q.schema == RiverSchema && q.of == "" && !onlyOthers && mine == "":
			mine = q.schema
		case q.schema == RiverSchema:
			first = further // the first one is another's
		}
		if q.of != "" && q.of != own && !q.isHeld {
			lost = q
		}
	}
	switch {
	case mine != "":
		return mine, nil
	case lost.of != "":
		return "", fmt.Errorf("%w: the job queue %s is for the schema %q, which has no installation: where that schema was renamed to %q, run COMMENT ON SCHEMA %s IS '%s'; where it was removed, DROP SCHEMA %s CASCADE; where it is being migrated, wait",
			ErrSchema, lost.schema, lost.of, own, lost.schema, own, lost.schema)
	}
	return first, nil
}

// plainSchema is a schema whose name can be a part of the queue's.
var plainSchema = regexp.MustCompile(`^[a-z0-9_]+$`)

// maxQueueSchema is as long as the queue's library lets its schema's name be.
const maxQueueSchema = 46

// furtherQueue is the schema of the job queue of an installation that is not the database's first.
func furtherQueue(own string) string {
	if name := RiverSchema + "_" + own; plainSchema.MatchString(own) && len(name) <= maxQueueSchema {
		return name
	}
	digest := sha256.Sum256([]byte(own))
	return RiverSchema + "_" + hex.EncodeToString(digest[:8])
}

// claimQuery records which installation a queue is for, if that is missing and the role may.
func claimQuery(queue string) string {
	return `
DO $$
DECLARE "queue" oid := (SELECT n."oid" FROM pg_namespace n WHERE n."nspname" = '` + queue + `'
  AND obj_description(n."oid", 'pg_namespace') IS NULL AND pg_has_role(n."nspowner", 'USAGE'));
BEGIN
  IF "queue" IS NOT NULL THEN
    EXECUTE format('COMMENT ON SCHEMA ` + queue + ` IS %L', current_schema());
  END IF;
END $$`
}
