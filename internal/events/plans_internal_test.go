package events

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// New sessions are found by indexes, and so are those that they are compared with, even without statistics.
func TestPlansWithoutStatistics(t *testing.T) {
	t.Parallel()
	testdb.Plans(t, "10:20:", map[string]string{"derive": deriveQuery, "claim": claimQuery}, "derive")
}
