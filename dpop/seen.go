package dpop

import (
	"sync"
	"time"
)

// seen remembers proofs for as long as they are good, in two halves: when the
// newer one has been filled for that long, the older one is forgotten as a whole.
//
// It is no cache. One that is full forgets what somebody may send again; this
// takes no more until there is room.
type seen struct {
	keep  time.Duration
	limit int

	mu           sync.Mutex
	since        time.Time // when the newer half was begun
	newer, older map[[16]byte]struct{}
}

func newSeen(keep time.Duration, limit int) *seen {
	return &seen{keep: keep, limit: limit, newer: map[[16]byte]struct{}{}}
}

func (s *seen) add(id [16]byte, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := now.Sub(s.since)
	if age < 0 { // the clock was set back: nothing is forgotten early, nor kept until it has caught up
		s.since = now
	}
	if age > s.keep {
		s.older = s.newer
		if age > 2*s.keep {
			s.older = nil
		}
		s.newer, s.since = map[[16]byte]struct{}{}, now
	}
	_, isNew := s.newer[id]
	_, isOld := s.older[id]
	if isNew || isOld {
		return ErrReplayed
	}
	if len(s.newer)+len(s.older) >= s.limit {
		return ErrUnavailable
	}
	s.newer[id] = struct{}{}
	return nil
}
