package revocations

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// Ended sessions are found by their index, even without statistics.
func TestPlansWithoutStatistics(t *testing.T) {
	t.Parallel()
	testdb.Plans(t, "10:20:", map[string]string{"strict": strictQuery, "revoked": revokedQuery, "newly revoked": newlyRevokedQuery}, "revoked", "newly") // the follower sets it
}
