package serve

import (
	"math"
	"os"
	"time"

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

// clockOf returns how far the clock of this machine is ahead of the database's.
func clockOf(accept *verifier.Verifier) func() (offset, uncertainty time.Duration, known bool) {
	return func() (offset, uncertainty time.Duration, known bool) {
		clock, known := accept.Clock()
		return clock.Offset, clock.Uncertainty, known
	}
}
