package serve

import (
	"math"
	"os"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/internal/replicas"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// replica records this replica for every replica's
// operators' page.
func (s *service) replica(db database.Pools, accept *verifier.Verifier) *replicas.Runner {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	clock := clockOf(accept)
	return replicas.New(replicas.Config{Pool: db.Tasks, Name: name, Version: s.version, Logger: s.log, Facts: func() (facts replicas.Facts) {
		facts.Offset, facts.Uncertainty, facts.IsClockKnown = clock()
		if facts.RevocationsAge = accept.Age(); facts.RevocationsAge == math.MaxInt64 {
			facts.RevocationsAge = -1
		}
		return facts
	}})
}
