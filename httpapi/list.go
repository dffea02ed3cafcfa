package httpapi

import (
	"net/http"
	"strconv"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func listParams(r *http.Request) (sessionstore.ListParams, error) {
	query := r.URL.Query()
	params := sessionstore.ListParams{Cursor: query.Get("cursor")}
	if query.Has("limit") {
		limit, err := strconv.Atoi(query.Get("limit"))
		if err != nil || limit < 1 {
			return params, invalidParameter("limit", "It must be a whole number above 0.")
		}
		params.Limit = limit
	}
	return params, nil
}

// requiredSubject reads a subject that must be present: without it the route would select all subjects.
func requiredSubject(r *http.Request) (string, error) {
	subject := r.URL.Query().Get("subject")
	if subject == "" {
		return "", invalidParameter("subject", "It is missing.")
	}
	return subject, nil
}

func pageOf(page sessionstore.Page, documentOf func(sessionstore.Session) sessionDocument) pageDocument {
	sessions := make([]sessionDocument, len(page.Sessions)) // never nil: an empty list is []
	for i, session := range page.Sessions {
		sessions[i] = documentOf(session)
	}
	return pageDocument{Sessions: sessions, NextCursor: page.NextCursor}
}
