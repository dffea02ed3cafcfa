package compas

import (
	"os"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// Every statement is prepared against the migrated schema.
func TestQueriesPrepare(t *testing.T) {
	t.Parallel()
	conn, err := testdb.Pool(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for name, query := range map[string]string{
		"get": `SELECT s."id"` + getColumns, "find": findQuery, "lock": lockQuery, "read": readQuery,
		"insertPair": insertPairQuery, "retire": retireQuery, "touch": touchQuery, "rows": rowsQuery,
	} {
		if _, err := conn.Conn().Prepare(t.Context(), name, query); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
