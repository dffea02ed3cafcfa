package httpapi

import "time"

// StopRateClock stops the clock of the rate limits: a slow machine has no more
// requests than a fast one.
func (s *Server) StopRateClock() {
	began := time.Now()
	now := func() time.Time { return began }
	if s.addressRate != nil {
		s.addressRate.now = now
	}
	if s.sessionRate != nil {
		s.sessionRate.now = now
	}
}

// SetStreamLimits lets black-box tests not wait for minutes.
func (s *Server) SetStreamLimits(lifetime, patience time.Duration) {
	s.streamLifetime, s.streamPatience = lifetime, patience
}
