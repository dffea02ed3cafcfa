package revocations

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/verifier"
)

// maxYoung is the number of sessions after which earlier ones are forgotten: between
// that many and twice as many are remembered.
const maxYoung = 1 << 16

// Ended is a session that was revoked.
type Ended struct {
	ID uuid.UUID
	At time.Time
	// Reason and By are empty if they were not recorded.
	Reason, By string
}

// memory records how sessions ended recently, in case the database forgets it. The zero
// value is ready to use. It is safe for concurrent use.
type memory struct {
	mu         sync.Mutex
	young, old map[uuid.UUID]Ended
	// at is the last known state of the database, and asked when it was queried.
	at    state
	asked time.Time
	// last is the last time that everyone was signed out; zero if that never happened.
	last SignOut
	// made is until when databases before this one may have made tokens, by their clocks.
	made time.Time
	// doubts counts the states that did not follow from the previous one, settled
	// those that have been dealt with.
	doubts, settled int
}

func (m *memory) add(e Ended) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.young) >= maxYoung {
		m.old, m.young = m.young, nil
	}
	if m.young == nil {
		m.young = map[uuid.UUID]Ended{}
	}
	m.young[e.ID] = e
}

// signedOut notes that everyone was signed out. The latest era counts: a database that has
// forgotten it may be back in an earlier one.
func (m *memory) signedOut(o SignOut) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o.Era > m.last.Era {
		m.last = o
	}
}

// see notes a state of the database, queried at a moment of this process's clock, and reports
// whether it may have forgotten what was seen before. Then the previous database may have
// continued until now.
func (m *memory) see(now state, asked time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	forgetful := m.at.epoch != "" && !now.follows(m.at)
	if forgetful {
		m.doubts++
		if until := m.at.now.Add(time.Since(m.asked)); until.After(m.made) { //nolint:forbidigo // only the elapsed time counts
			m.made = until
		}
	}
	m.at, m.asked = now, asked
	return forgetful
}

// forgettable is what the database may have forgotten.
type forgettable struct {
	last     SignOut // zero for none
	sessions []Ended // the database may wrongly have them as live
	made     time.Time
}

// doubted returns what the database may have forgotten, the time until which tokens may have been made that
// it does not know, and the argument for [memory.settle]. The time is zero if nothing is in doubt.
func (m *memory) doubted() (what forgettable, doubt int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.doubts == m.settled {
		return forgettable{}, m.doubts
	}
	return forgettable{m.last, slices.Concat(slices.Collect(maps.Values(m.young)), slices.Collect(maps.Values(m.old))), m.made}, m.doubts
}

func (m *memory) settle(doubt int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled = doubt
}

// SignOut is a sign-out of everyone, which began an era.
type SignOut struct {
	// Era is zero for the next one.
	Era int64
	// At is zero for now.
	At         time.Time
	Reason, By string
}

// revocation is the verifiers' entry. It refuses no token of the second in which it happened: the
// service is asked about those.
func (o SignOut) revocation(maxAccessTokenTTL time.Duration) verifier.Revocation {
	return verifier.Revocation{Era: o.Era, Before: o.At.Unix(), Until: o.At.Add(maxAccessTokenTTL+verifier.Slack).Unix() + 1}
}
