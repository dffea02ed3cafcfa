package revocations

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// maxYoung is after how many sessions those before them are forgotten: between as many
// and twice as many are remembered.
const maxYoung = 1 << 16

// Ended is a session that was revoked.
type Ended struct {
	ID uuid.UUID
	At time.Time
	// Reason and By are empty where they were not recorded.
	Reason, By string
}

// memory is how sessions ended lately, for a database that may forget it. The zero value
// is ready. It may be used by many goroutines.
type memory struct {
	mu         sync.Mutex
	young, old map[uuid.UUID]Ended
	// at is the state of the database that was seen last.
	at state
	// doubts counts the states that did not follow on the one before, settled those of
	// which the consequences were drawn.
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

// see notes a state of the database, and tells whether it may have forgotten what was
// seen before.
func (m *memory) see(now state) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	forgetful := m.at.epoch != "" && !now.follows(m.at)
	if forgetful {
		m.doubts++
	}
	m.at = now
	return forgetful
}

// doubted returns the sessions that the database may know as live, and what [memory.settle]
// is to be told.
func (m *memory) doubted() (sessions []Ended, doubt int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.doubts == m.settled {
		return nil, m.doubts
	}
	return slices.Concat(slices.Collect(maps.Values(m.young)), slices.Collect(maps.Values(m.old))), m.doubts
}

func (m *memory) settle(doubt int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled = doubt
}
