-- Advisory locks count for a whole database, which may hold several installations. This tells
-- those of one apart from those of the others.

-- +goose Up
-- The first installation of a database gets the numbers as they are: an earlier release, which
-- runs alongside this one, takes the same. PostgreSQL puts the number into each plan.
-- +goose StatementBegin
DO $$
DECLARE
  "first" text := obj_description(to_regnamespace('latchkey_river')::oid, 'pg_namespace');
  "apart" bigint := CASE WHEN "first" <> current_schema() THEN hashtextextended(gen_random_uuid()::text, 0) ELSE 0 END;
BEGIN
  EXECUTE format('CREATE OR REPLACE FUNCTION "sessionStoreLock"("of" bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS ''SELECT $1 # (%s)::bigint''', "apart");
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION IF EXISTS "sessionStoreLock"(bigint);
