package httpapi

import (
	"net/http"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

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
