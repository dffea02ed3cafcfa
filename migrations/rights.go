package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrNoRight says that the role lacks a right that the service needs.
var ErrNoRight = errors.New("the database role lacks a right")

// The first statement that would help, of those for the tables of sessions, for the tables and
// sequences of the job queue, and for the function of the locks. An identity's sequence needs no separate right.
const missingRightQuery = `
SELECT "grant" FROM (
SELECT 1 AS "order", n."nspname", c."relname", format('GRANT %s ON %s %I.%I TO %I', CASE c."relkind" WHEN 'S' THEN 'USAGE' ELSE 'SELECT, INSERT, UPDATE, DELETE' END,
  CASE c."relkind" WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n."nspname", c."relname", current_user) AS "grant"
FROM pg_class c JOIN pg_namespace n ON n."oid" = c."relnamespace"
WHERE (n."nspname" = $1 AND c."relname" <> 'river_migration'
  OR c."relkind" = 'r' AND c."relname" LIKE 'sessionStore%' AND n."oid" = (SELECT s."relnamespace" FROM pg_class s WHERE s."oid" = to_regclass('"sessionStore"')))
AND CASE c."relkind"
  WHEN 'S' THEN NOT has_sequence_privilege(c."oid", 'USAGE')
  WHEN 'r' THEN NOT (has_table_privilege(c."oid", 'SELECT') AND has_table_privilege(c."oid", 'INSERT')
    AND has_table_privilege(c."oid", 'UPDATE') AND has_table_privilege(c."oid", 'DELETE'))
  ELSE false END
UNION ALL
SELECT 2, '', '', format('GRANT EXECUTE ON FUNCTION %s TO %I', p."oid"::regprocedure, current_user)
FROM pg_proc p WHERE p."oid" = to_regprocedure('"sessionStoreLock"(bigint)') AND NOT has_function_privilege(p."oid", 'EXECUTE')
) missing ORDER BY "order", "nspname", "relname" LIMIT 1`

// CheckRights returns [ErrNoRight] with the statement that grants it, if the pool's role cannot use
// a table of sessions, such as one that a later version has added, or the job queue: requests would
// be answered with 503, or reports of thefts would wait.
func CheckRights(ctx context.Context, pool *pgxpool.Pool) error {
	var missing *string
	queue, err := QueueSchema(ctx, pool)
	if err != nil {
		return err
	}
	if err := pool.QueryRow(ctx, `SELECT (`+missingRightQuery+`)`, queue).Scan(&missing); err != nil {
		return fmt.Errorf("read the role's rights: %w", err)
	}
	if missing != nil {
		return fmt.Errorf("%w: %s", ErrNoRight, *missing)
	}
	return nil
}
