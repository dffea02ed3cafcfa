package migrations_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/migrations"
)

// The statements name the rights that a role lacks, one after the other, until it has all of them.
func TestCheckRights(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	if err := migrations.CheckRights(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	role := "role_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	for _, sql := range []string{`CREATE ROLE ` + role, `GRANT USAGE ON SCHEMA ` + migrations.RiverSchema + ` TO ` + role} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	config := pool.Config()
	config.AfterConnect = nil
	config.ConnConfig.RuntimeParams["role"] = role
	limited, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer limited.Close()
	var granted []string
	for range 40 {
		err := migrations.CheckRights(t.Context(), limited)
		if err == nil {
			break
		}
		_, grant, found := strings.Cut(err.Error(), ": ")
		if !errors.Is(err, migrations.ErrNoRight) || !found {
			t.Fatal(err)
		}
		if _, err := pool.Exec(t.Context(), grant, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", grant, err)
		}
		granted = append(granted, grant)
	}
	if err := migrations.CheckRights(t.Context(), limited); err != nil {
		t.Errorf("after all of %q: %v", granted, err)
	}
	for _, want := range []string{
		`GRANT USAGE ON SEQUENCE latchkey_river.river_job_id_seq TO ` + role,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public."sessionStore" TO ` + role,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public."sessionStoreClock" TO ` + role,
	} {
		if !slices.Contains(granted, want) {
			t.Errorf("%q does not have %s", granted, want)
		}
	}
	for _, sql := range []string{`REVOKE EXECUTE ON FUNCTION "sessionStoreLock" FROM PUBLIC`, `GRANT EXECUTE ON FUNCTION "sessionStoreLock" TO ` + role} {
		err := migrations.CheckRights(t.Context(), limited)
		if isRevoked := strings.HasPrefix(sql, "GRANT"); isRevoked != errors.Is(err, migrations.ErrNoRight) || isRevoked && !strings.Contains(err.Error(), `GRANT EXECUTE ON FUNCTION "sessionStoreLock"(bigint) TO `+role) {
			t.Errorf("before %s: %v", sql, err)
		}
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	// Each right counts, and rights that an earlier version's tables have do not help a later one's.
	for _, right := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
		for _, table := range []string{`"sessionStoreClock"`, `"sessionStoreSignOut"`, migrations.RiverSchema + `.river_job`} {
			if _, err := pool.Exec(t.Context(), `REVOKE `+right+` ON `+table+` FROM `+role); err != nil {
				t.Fatal(err)
			}
			if err := migrations.CheckRights(t.Context(), limited); !errors.Is(err, migrations.ErrNoRight) || !strings.Contains(err.Error(), table+" TO "+role) {
				t.Errorf("without %s on %s: %v", right, table, err)
			}
			if _, err := pool.Exec(t.Context(), `GRANT `+right+` ON `+table+` TO `+role); err != nil {
				t.Fatal(err)
			}
		}
	}
}
