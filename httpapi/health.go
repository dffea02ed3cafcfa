package httpapi

import "net/http"

type health struct {
	Status string `json:"status"`
}

// livez asks no database: a process is not restarted for one that is down.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, health{"ok"})
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	if err := s.store.Ping(r.Context()); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, health{"ok"})
}
