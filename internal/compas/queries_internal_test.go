package compas

import (
	"os"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

var statements = map[string]string{
	"get": `SELECT s."id"` + getColumns, "find": findQuery, "lock": lockQuery, "read": readQuery,
	"insertPair": insertPairQuery, "retire": retireQuery, "touch": touchQuery, "rows": rowsQuery,
}

// Every statement is prepared against the migrated schema.
func TestQueriesPrepare(t *testing.T) {
	t.Parallel()
	conn, err := testdb.Pool(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for name, query := range statements {
		if _, err := conn.Conn().Prepare(t.Context(), name, query); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every statement finds its rows, without statistics too.
func TestPlansWithoutStatistics(t *testing.T) {
	t.Parallel()
	testdb.Plans(t, "192.0.2.1", statements)
}
