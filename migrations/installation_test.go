package migrations_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/migrations"
)

// A second installation in another schema would share the first one's job queue: it is refused before it has made anything.
func TestSecondInstallationIsRefused(t *testing.T) {
	t.Parallel()
	first := testdb.Pool(t)
	if err := migrations.Check(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	cfg := first.Config()
	cfg.ConnConfig.RuntimeParams["search_path"] = "elsewhere"
	second, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.Close)
	execute := func(statement string) {
		t.Helper()
		if _, err := first.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	execute(`CREATE SCHEMA elsewhere`)

	_, err = migrations.Up(t.Context(), second)
	if !errors.Is(err, migrations.ErrShared) || !strings.Contains(err.Error(), `in the schema "public" and not in "elsewhere"`) {
		t.Errorf("migrations of a second installation: %v", err)
	}
	if err := migrations.Check(t.Context(), second); !errors.Is(err, migrations.ErrShared) {
		t.Errorf("a service of a second installation: %v", err)
	}
	var made int
	if err := first.QueryRow(t.Context(), `SELECT count(*) FROM pg_class WHERE relnamespace = 'elsewhere'::regnamespace`).Scan(&made); err != nil || made != 0 {
		t.Errorf("%d tables and indexes were made, %v", made, err)
	}

	// The message's advice works if a schema was renamed.
	execute(`DROP SCHEMA elsewhere`)
	execute(`ALTER SCHEMA public RENAME TO elsewhere`)
	execute(`COMMENT ON SCHEMA ` + migrations.RiverSchema + ` IS NULL`)
	if _, err := migrations.Up(t.Context(), second); err != nil {
		t.Errorf("after the schema was renamed: %v", err)
	}
	if err := migrations.Check(t.Context(), second); err != nil {
		t.Errorf("after the schema was renamed: %v", err)
	}
}
