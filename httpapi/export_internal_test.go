package httpapi

import "time"

// SetStreamLimits lets black-box tests not wait for minutes.
func (s *Server) SetStreamLimits(lifetime, patience time.Duration) {
	s.streamLifetime, s.streamPatience = lifetime, patience
}
