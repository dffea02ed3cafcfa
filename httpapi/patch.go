package httpapi

import (
	"net/http"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// sessionPatch is the body of a change by a backend.
type sessionPatch struct {
	newLifetimes
	Client clientPatch `json:"client"`
}

// ownPatch is the body of a change by the session's user.
type ownPatch struct {
	Client clientPatch `json:"client"`
}

func (p sessionPatch) params() sessionstore.Patch {
	return sessionstore.Patch{Lifetimes: p.lifetimes(), Label: (*string)(p.Client.Label)}
}

// patchSession requires no If-Match: the ETag is that of the data, and what is set does
// not depend on what was read.
func (s *Server) patchSession(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	body, err := decodeDescribed[sessionPatch](r, maxEnvelopeBytes)
	if err != nil {
		return err
	}
	session, err := s.store.Patch(r.Context(), id, body.params())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, listedDocumentOf(session))
}

// patchOwnSession renames a device. It treats another subject's session as if it
// did not exist.
func (s *Server) patchOwnSession(w http.ResponseWriter, r *http.Request, current tokens.Claims) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	body, err := decodeDescribed[ownPatch](r, maxEnvelopeBytes)
	if err != nil {
		return err
	}
	patch := sessionstore.Patch{Label: (*string)(body.Client.Label)}
	var session sessionstore.Session
	if id == current.SessionID {
		session, err = s.store.Patch(r.Context(), id, patch)
		err = refusedToken(err)
	} else {
		session, err = s.store.PatchOwn(r.Context(), current.Subject, id, patch)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, ownDocumentOf(session, current.SessionID))
}
