package httpapi

import (
	"net/http"
	"slices"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// The handlers below are for a user's own sessions: current is the session of
// the access token. A session without a subject has no siblings.

func (s *Server) getCurrentSession(w http.ResponseWriter, _ *http.Request, current sessionstore.Session) error {
	return writeJSON(w, http.StatusOK, ownDocumentOf(current, current.ID))
}

func (s *Server) endCurrentSession(w http.ResponseWriter, r *http.Request, current tokens.Claims) error {
	if err := s.store.Invalidate(r.Context(), current.SessionID, sessionstore.SignedOut(current.SessionID)); err != nil {
		return refusedToken(err)
	}
	return writeNoContent(w)
}

func (s *Server) listOwnSessions(w http.ResponseWriter, r *http.Request, current tokens.Claims) error {
	params, err := listParams(r)
	if err != nil {
		return err
	}
	if current.Subject == "" {
		session, err := s.currentSession(r)
		if err != nil {
			return err
		}
		return s.listCurrentSession(w, r, session)
	}
	page, err := s.store.List(r.Context(), current.Subject, params)
	if err != nil {
		return inQuery(err)
	}
	if s.cfg.HideActedSessions {
		page.Sessions = slices.DeleteFunc(page.Sessions, func(session sessionstore.Session) bool {
			return session.Actor != nil && session.ID != current.SessionID
		})
	}
	return writeOwnPage(w, page, current.SessionID)
}

func (s *Server) listCurrentSession(w http.ResponseWriter, _ *http.Request, current sessionstore.Session) error {
	return writeOwnPage(w, sessionstore.Page{Sessions: []sessionstore.Session{current}}, current.ID)
}

func writeOwnPage(w http.ResponseWriter, page sessionstore.Page, current uuid.UUID) error {
	return writeJSON(w, http.StatusOK, pageOf(page, func(session sessionstore.Session) sessionDocument {
		return ownDocumentOf(session, current)
	}))
}

func (s *Server) endOwnSessions(w http.ResponseWriter, r *http.Request, current tokens.Claims) error {
	keep := uuid.Nil
	if query := r.URL.Query(); query.Has("keep") {
		if query.Get("keep") != "current" {
			return invalidParameter("keep", "It may only be current.")
		}
		keep = current.SessionID
	}
	n, err := s.endSiblings(r, current, keep)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, revokedDocument{n})
}

// endSiblings ends all sessions of the subject except the one to keep.
func (s *Server) endSiblings(r *http.Request, current tokens.Claims, keep uuid.UUID) (int64, error) {
	cause := sessionstore.Cause{Reason: sessionstore.ReasonSignedOutEverywhere, By: current.SessionID.String()}
	switch {
	case current.Subject != "":
		return s.store.InvalidateSubject(r.Context(), current.Subject, keep, cause)
	case keep == current.SessionID:
		return 0, nil
	default:
		return 1, refusedToken(s.store.Invalidate(r.Context(), current.SessionID, cause))
	}
}

// endOwnSession treats another subject's session as if it did not exist.
func (s *Server) endOwnSession(w http.ResponseWriter, r *http.Request, current tokens.Claims) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	if id == current.SessionID {
		return s.endCurrentSession(w, r, current)
	}
	cause := sessionstore.Cause{Reason: sessionstore.ReasonSignedOutElsewhere, By: current.SessionID.String()}
	if err := s.store.InvalidateOwn(r.Context(), current.Subject, id, cause); err != nil {
		return err
	}
	return writeNoContent(w)
}

// currentSession is the strict check for an access token that was confirmed.
func (s *Server) currentSession(r *http.Request) (sessionstore.Session, error) {
	_, token, err := accessToken(r)
	if err != nil {
		return sessionstore.Session{}, err
	}
	session, _, err := s.store.GetWith(r.Context(), token, sessionstore.GetOptions{Check: func(tokens.Claims) error { return nil }})
	return session, refusedToken(err)
}
