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
	// at is the state of the database that was seen last, and asked when it was asked for.
	at    state
	asked time.Time
	// made is until when databases before this one may have made tokens, by their clocks.
	made time.Time
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

// see notes a state of the database, asked for at a moment of this process's clock, and
// reports whether it may have forgotten what was seen before. Then the database before may have
// gone on until now.
func (m *memory) see(now state, asked time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	forgetful := m.at.epoch != "" && !now.follows(m.at)
	if forgetful {
		m.doubts++
		if until := m.at.now.Add(time.Since(m.asked)); until.After(m.made) { //nolint:forbidigo // only how long ago it was counts
			m.made = until
		}
	}
	m.at, m.asked = now, asked
	return forgetful
}

// doubted returns the sessions that the database may know as live, until when tokens may
// have been made that it does not know, and what [memory.settle] is to be told.
func (m *memory) doubted() (sessions []Ended, made time.Time, doubt int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.doubts == m.settled {
		return nil, time.Time{}, m.doubts
	}
	return slices.Concat(slices.Collect(maps.Values(m.young)), slices.Collect(maps.Values(m.old))), m.made, m.doubts
}

func (m *memory) settle(doubt int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled = doubt
}
