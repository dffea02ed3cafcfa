package revocations

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// What has ended is found by its index, without statistics too.
func TestPlansWithoutStatistics(t *testing.T) {
	t.Parallel()
	testdb.Plans(t, "10:20:", map[string]string{"strict": strictQuery, "revoked": revokedQuery, "newly revoked": newlyRevokedQuery}, "revoked", "newly") // the follower sets it
}
