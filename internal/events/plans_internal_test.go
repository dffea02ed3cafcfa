package events

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// What is new is found by indexes, and what it is compared with too, without statistics too.
func TestPlansWithoutStatistics(t *testing.T) {
	t.Parallel()
	testdb.Plans(t, "10:20:", map[string]string{"derive": deriveQuery, "claim": claimQuery}, "derive")
}
