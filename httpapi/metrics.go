package httpapi

import "net/http"

// getMetrics answers a monitoring system. Without metrics the route does not exist.
func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.Metrics == nil {
		return &problem{code: codeRouteNotFound}
	}
	s.cfg.Metrics.ServeHTTP(w, r)
	return nil
}
