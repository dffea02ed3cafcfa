package migrations_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/migrations"
)

func execute(t *testing.T, pool *pgxpool.Pool, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := pool.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// withPath returns connections to the same database with another search_path.
func withPath(t *testing.T, pool *pgxpool.Pool, path string) *pgxpool.Pool {
	t.Helper()
	cfg := pool.Config()
	cfg.ConnConfig.RuntimeParams["search_path"] = path
	other, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	return other
}

func queueOf(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	queue, err := migrations.QueueSchema(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return queue
}

// refuses expects that neither a service nor a migration takes the schema for an installation,
// and that the migration says this.
func refuses(t *testing.T, what string, pool *pgxpool.Pool, says string) {
	t.Helper()
	if err := migrations.Check(t.Context(), pool); !errors.Is(err, migrations.ErrSchema) {
		t.Errorf("%s, for a service: %v", what, err)
	}
	if _, err := migrations.Up(t.Context(), pool); !errors.Is(err, migrations.ErrSchema) || !strings.Contains(err.Error(), says) {
		t.Errorf("%s, for a migration: %v; want %q", what, err, says)
	}
}

// Installations in one database share no table, no job queue and no lock. The first has the
// queue and the locks that it had when there could be one alone.
func TestInstallationsInOneDatabase(t *testing.T) {
	t.Parallel()
	pools := testdb.Schemas(t)
	var queues []string
	var locks []int64
	for _, pool := range pools {
		if err := migrations.Check(t.Context(), pool); err != nil {
			t.Error(err)
		}
		if err := migrations.CheckRights(t.Context(), pool); err != nil {
			t.Error(err)
		}
		if applied, err := migrations.Up(t.Context(), pool); err != nil || len(applied) != 0 {
			t.Errorf("migrated again: %v, %v", applied, err)
		}
		queue := queueOf(t, pool)
		var lock, jobs, tables int64
		if err := pool.QueryRow(t.Context(), `SELECT "sessionStoreLock"(42)`).Scan(&lock); err != nil {
			t.Fatal(err)
		}
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM `+queue+`.river_job`).Scan(&jobs); err != nil {
			t.Error(err)
		}
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE 'sessionStore%'`).Scan(&tables); err != nil || tables < 10 {
			t.Errorf("%d tables, %v", tables, err)
		}
		queues, locks = append(queues, queue), append(locks, lock)
	}
	if queues[0] != migrations.RiverSchema || queues[1] != migrations.RiverSchema+"_east" {
		t.Errorf("queues: %v", queues)
	}
	if locks[0] != 42 {
		t.Errorf("the first installation's lock 42 is %d", locks[0])
	}
	if slices.Sort(queues); len(slices.Compact(queues)) != len(pools) {
		t.Errorf("queues are shared: %v", queues)
	}
	if slices.Sort(locks); len(slices.Compact(locks)) != len(pools) {
		t.Errorf("locks are shared: %v", locks)
	}
}

// A queue stays with its installation when the schema is renamed, once an operator has confirmed it. A queue without
// workers is not lost silently.
func TestRenamedSchema(t *testing.T) {
	t.Parallel()
	pools := testdb.Schemas(t)
	for i, schema := range []string{"public", "east"} {
		before := queueOf(t, pools[i])
		execute(t, pools[2], `ALTER SCHEMA `+schema+` RENAME TO renamed_`+schema)
		renamed := withPath(t, pools[2], "renamed_"+schema)
		hint := `COMMENT ON SCHEMA ` + before + ` IS 'renamed_` + schema + `'`
		refuses(t, "a renamed schema", renamed, hint)
		execute(t, pools[2], hint)
		if err := migrations.Check(t.Context(), renamed); err != nil {
			t.Errorf("after the schema %s was renamed: %v", schema, err)
		}
		if after := queueOf(t, renamed); after != before {
			t.Errorf("the queue of %s was %s and is %s", schema, before, after)
		}
	}
}

// A search_path that finds an installation behind the schema that it begins with would have
// some statements go to one and some to the other.
func TestMisleadingSearchPath(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	execute(t, pool, `CREATE SCHEMA fresh`)
	refuses(t, "a path with an installation behind", withPath(t, pool, "fresh, public"), `it must begin with the installation's schema`)
	refuses(t, "a path to nowhere", withPath(t, pool, "nowhere"), `create it first`)
	var made int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_class WHERE relnamespace = 'fresh'::regnamespace`).Scan(&made); err != nil || made != 0 {
		t.Errorf("%d tables and indexes were made, %v", made, err)
	}
	if err := migrations.Check(t.Context(), withPath(t, pool, "fresh")); !errors.Is(err, migrations.ErrBehind) {
		t.Errorf("an empty schema beside an installation: %v", err)
	}
}

// Where the role that migrates did not own the queue's schema, nothing says whose the queue is. It
// is that of the installation which was there.
func TestQueueThatNobodyClaimed(t *testing.T) {
	t.Parallel()
	first := testdb.Pool(t)
	execute(t, first, `COMMENT ON SCHEMA `+migrations.RiverSchema+` IS NULL`, `CREATE SCHEMA second`)
	if queue := queueOf(t, first); queue != migrations.RiverSchema {
		t.Errorf("the first installation's queue is %s", queue)
	}
	second := withPath(t, first, "second")
	if queue := queueOf(t, second); queue != migrations.RiverSchema+"_second" {
		t.Errorf("the second installation's queue is %s", queue)
	}
	if _, err := migrations.Up(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if first, second := queueOf(t, first), queueOf(t, second); first != migrations.RiverSchema || second != migrations.RiverSchema+"_second" {
		t.Errorf("the queues are %s and %s", first, second)
	}
}

// A schema may have any name, and what the queue's library takes is narrower.
func TestQueueOfAnySchema(t *testing.T) {
	t.Parallel()
	first := testdb.Pool(t)
	names := []string{"a", strings.Repeat("b", 31), strings.Repeat("b", 32), strings.Repeat("b", 63), "Upper", `with "quotes"`, "ünder", "a-b"}
	var queues []string
	for _, name := range names {
		quoted := pgx.Identifier{name}.Sanitize()
		execute(t, first, `CREATE SCHEMA `+quoted)
		queue := queueOf(t, withPath(t, first, quoted))
		if len(queue) > 46 || !strings.HasPrefix(queue, migrations.RiverSchema+"_") {
			t.Errorf("the queue of %q is %q", name, queue)
		}
		queues = append(queues, queue)
	}
	if slices.Sort(queues); len(slices.Compact(queues)) != len(names) {
		t.Errorf("queues are shared: %v", queues)
	}
}
