package httpapi

import (
	"net/http"
	"strconv"
	"time"

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

// findParams reads the parameters that select sessions. Without any, they select
// all live sessions.
func findParams(r *http.Request) (params sessionstore.FindParams, err error) {
	query := r.URL.Query()
	params.Subject, params.Label = query.Get("subject"), query.Get("label")
	if params.ListParams, err = listParams(r); err != nil {
		return params, err
	}
	switch ended := query.Get("ended"); ended {
	case "", "false":
	case "true":
		params.Ended = true
	default:
		return params, invalidParameter("ended", "It may only be true or false.")
	}
	if query.Has("since") {
		if params.Since, err = time.Parse(time.RFC3339, query.Get("since")); err != nil {
			return params, invalidParameter("since", "It is not a time in the form of RFC 3339.")
		}
	}
	if query.Has("address") {
		if params.Network, err = sessionstore.ParseNetwork(query.Get("address")); err != nil {
			return params, invalidParameter("address", "It is neither an IP address nor a network in CIDR notation.")
		}
	}
	return params, nil
}
