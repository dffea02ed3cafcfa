package httpapi

import "net/http"

type health struct {
	Status string `json:"status"`
}

// livez sends no query: a process must not be restarted because its database is
// down.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, health{"ok"})
}

// readyz reports ready while the database answers, and its clock is known for
// answers without a query, until the service is stopping.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	if s.stopping.Load() {
		return &problem{code: codeUnavailable, reason: "stopping", detail: "It is about to stop."}
	}
	if err := s.store.Ping(r.Context()); err != nil {
		return err
	}
	if s.cfg.Verifier != nil {
		if err := s.cfg.Verifier.ClockErr(); err != nil {
			return &problem{code: codeUnavailable, reason: "clock", detail: sentence(err.Error())}
		}
	}
	return writeJSON(w, http.StatusOK, health{"ok"})
}

// getMetrics answers a monitoring system. Without metrics the route does not exist.
func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.Metrics == nil {
		return &problem{code: codeRouteNotFound}
	}
	s.cfg.Metrics.ServeHTTP(w, r)
	return nil
}
