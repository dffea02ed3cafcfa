package database

import (
	"os"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// A request's statements are not compiled: PostgreSQL would do so for lists in which it expects many
// rows, and take ten times as long.
func TestRequestsAreNotCompiled(t *testing.T) {
	t.Parallel()
	pool, err := newRequestPool(t.Context(), Source{URL: testdb.URL(t)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var jit string
	if err := pool.QueryRow(t.Context(), "SHOW jit").Scan(&jit); err != nil || jit != "off" {
		t.Errorf("%q, %v", jit, err)
	}
}
