package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrShared says that the database belongs to another installation, in another schema.
// The two would share the job queue, and one would send the other's leak reports.
var ErrShared = errors.New("the database has another installation")

const (
	// installationQuery returns the schema of the installation that the job queue is
	// for, as recorded in the queue's own schema, and the one that this program would
	// use.
	installationQuery = `
SELECT coalesce(obj_description(n."oid", 'pg_namespace'), ''), coalesce(current_schema(), '')
FROM pg_namespace n WHERE n."nspname" = $1`

	// claimQuery records it, if it is not recorded yet and the role may.
	claimQuery = `
DO $$
DECLARE "queue" oid := (SELECT n."oid" FROM pg_namespace n WHERE n."nspname" = '` + RiverSchema + `'
  AND obj_description(n."oid", 'pg_namespace') IS NULL AND pg_has_role(n."nspowner", 'USAGE'));
BEGIN
  IF "queue" IS NOT NULL THEN
    EXECUTE format('COMMENT ON SCHEMA ` + RiverSchema + ` IS %L', current_schema());
  END IF;
END $$`
)

// checkInstallation returns [ErrShared], with an explanation, for a second installation.
func checkInstallation(ctx context.Context, pool *pgxpool.Pool) error {
	var theirs, ours string
	err := pool.QueryRow(ctx, installationQuery, RiverSchema).Scan(&theirs, &ours)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil // there is none at all
	case err != nil:
		return fmt.Errorf("look for another installation: %w", err)
	case theirs != "" && theirs != ours:
		return fmt.Errorf("%w, whose tables are in the schema %q and not in %q: a database can have one; where that schema was renamed or removed, run COMMENT ON SCHEMA %s IS NULL", ErrShared, theirs, ours, RiverSchema)
	}
	return nil
}
