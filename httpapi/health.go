package httpapi

import "net/http"

// livenessPath is on both listeners: a load balancer reaches the public one alone.
const livenessPath = "/livez"

type health struct {
	Status string `json:"status"`
}

// livez asks no database: a process is not restarted for one that is down.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, health{"ok"})
}

// readyz is ready where the database answers, and what is told without asking it is
// told by its clock, until the service is told to stop.
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
