package httpapi

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func (s *Server) getSession(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	session, err := s.store.Load(r.Context(), id)
	if err != nil {
		return err
	}
	// No 304 here: the ETag is that of the data, and the rest changes without it.
	document := shownTo(r, session)
	setETag(w.Header(), document.Checksum)
	return writeJSON(w, http.StatusOK, document)
}

func (s *Server) listSessions(w http.ResponseWriter, r *http.Request) error {
	params, err := findParams(r)
	if err != nil {
		return err
	}
	page, err := s.store.Find(r.Context(), params)
	if err != nil {
		return inQuery(err)
	}
	return writeJSON(w, http.StatusOK, pageOf(page, foundDocumentOf))
}

func (s *Server) endSession(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	if err := s.store.Invalidate(r.Context(), id, byBackend(r)); err != nil {
		return err
	}
	return writeNoContent(w)
}

func (s *Server) endSessions(w http.ResponseWriter, r *http.Request) error {
	subject, err := requiredSubject(r)
	if err != nil {
		return err
	}
	n, err := s.store.InvalidateSubject(r.Context(), subject, uuid.Nil, byBackend(r))
	if err != nil {
		return inQuery(err)
	}
	return writeJSON(w, http.StatusOK, revokedDocument{n})
}

// byBackend says that a backend ends sessions: the one that the request's key belongs to.
func byBackend(r *http.Request) sessionstore.Cause {
	return sessionstore.Cause{Reason: sessionstore.ReasonBackend, By: infoOf(r).serviceKey}
}

// sessionID reads the path. Anything but an id names no session.
func sessionID(r *http.Request) (uuid.UUID, error) {
	id, ok := parseSessionID(chi.URLParam(r, "id"))
	if !ok {
		return uuid.Nil, sessionstore.ErrNotFound
	}
	return id, nil
}

// parseSessionID accepts only the canonical form.
func parseSessionID(text string) (uuid.UUID, bool) {
	id, err := uuid.Parse(text)
	return id, err == nil && len(text) == len(uuid.Nil.String())
}
