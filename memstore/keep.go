package memstore

import (
	"time"

	"github.com/google/uuid"
)

// leastSweep is how many sessions are kept without checking whether they have ended.
const leastSweep = 1000

// add keeps a session. If there are many, it drops those that have ended.
func (s *Store) add(r *row, now time.Time) {
	if len(s.rows) >= s.sweepAt {
		s.sweep(now)
	}
	s.rows[r.session.ID] = r
	if r.creation != nil {
		s.keys[r.creation.key] = r
	}
	if subject := r.session.Subject; subject != "" {
		s.subjects[subject] = append(s.subjects[subject], r)
	}
}

// sweep drops the sessions that have ended. Its cost is proportional to the number of
// sessions, and as many have been made since the last sweep.
func (s *Store) sweep(now time.Time) {
	var live []*row
	for _, r := range s.rows {
		if s.core.IsLive(r.pair, now) {
			live = append(live, r)
		}
	}
	s.keep(live)
}

// keep replaces all sessions. The maps are replaced, because maps do not shrink.
func (s *Store) keep(live []*row) {
	s.sweepAt = max(leastSweep, 2*len(live))
	s.rows, s.keys = make(map[uuid.UUID]*row, len(live)), map[string]*row{}
	before := s.subjects
	s.subjects = map[string][]*row{}
	for _, r := range live {
		s.rows[r.session.ID] = r
		if r.creation != nil {
			s.keys[r.creation.key] = r
		}
	}
	for subject, rows := range before { // in their order
		for _, r := range rows {
			if s.rows[r.session.ID] == r {
				s.subjects[subject] = append(s.subjects[subject], r)
			}
		}
	}
}
