package testdb_test

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// Only data that the standby had before the replication was frozen survives the failover.
func TestFailover(t *testing.T) {
	t.Parallel()

	pair := testdb.NewReplicated(t)
	primary, standby := pair.Primary.Pool(), pair.Standby.Pool()
	write := func(statement string) {
		t.Helper()
		if _, err := primary.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	const count = `SELECT count(*) FROM kept`
	write(`CREATE TABLE kept AS SELECT 1 AS n`)
	pair.CatchUp()
	write(`INSERT INTO kept VALUES (2)`)
	pair.CatchUp()
	if got := queryInt(t, standby, count); got != 2 {
		t.Errorf("the standby has %d rows of 2", got)
	}
	if _, err := standby.Exec(t.Context(), `INSERT INTO kept VALUES (3)`); err == nil {
		t.Error("the standby takes writes")
	}

	pair.Freeze()
	write(`INSERT INTO kept VALUES (4)`)
	if got := queryInt(t, primary, count); got != 3 {
		t.Errorf("the primary has %d rows of 3", got)
	}
	pair.Primary.Kill()
	if err := primary.Ping(t.Context()); err == nil {
		t.Error("the primary still answers")
	}
	pair.Promote()
	if got := queryInt(t, standby, count); got != 2 {
		t.Errorf("the new primary has %d rows, the standby had 2", got)
	}
	if _, err := standby.Exec(t.Context(), `INSERT INTO kept VALUES (5)`); err != nil {
		t.Errorf("the new primary takes no writes: %v", err)
	}
}

// A container gets another address when others were started while it was down. The standby finds its primary there.
func TestStandbyFollowsAPrimaryThatMoved(t *testing.T) {
	t.Parallel()

	pair := testdb.NewReplicated(t)
	pair.Primary.Kill()
	testdb.NewServer(t)
	pair.Primary.Start()
	if _, err := pair.Primary.Pool().Exec(t.Context(), `CREATE TABLE later ()`); err != nil {
		t.Fatal(err)
	}
	pair.CatchUp()
	if got := queryInt(t, pair.Standby.Pool(), `SELECT count(*) FROM later`); got != 0 {
		t.Errorf("the standby has %d rows of 0", got)
	}
}
