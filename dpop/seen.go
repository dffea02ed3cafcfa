package dpop

import (
	"sync"
	"time"
)

// seen remembers proofs for as long as they are valid, in two halves: once the
// newer half has been filled for that long, the older one is dropped as a whole.
//
// It is not a cache. A full cache forgets entries that may be sent again; this
// accepts no more until there is room.
type seen struct {
	keep  time.Duration
	limit int

	mu           sync.Mutex
	since        time.Time // when the newer half was started
	newer, older map[[16]byte]struct{}
}

func newSeen(keep time.Duration, limit int) *seen {
	return &seen{keep: keep, limit: limit, newer: map[[16]byte]struct{}{}}
}

func (s *seen) add(id [16]byte, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := now.Sub(s.since)
	if age < 0 { // the clock was set back: nothing is dropped early, nor kept until the clock has caught up
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
