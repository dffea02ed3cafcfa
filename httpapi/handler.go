package httpapi

import "net/http"

// handler answers a request, or returns the error that [fail] answers with.
// It returns an error only before it has written anything.
type handler func(http.ResponseWriter, *http.Request) error

// handle converts a handler to one for net/http. parameters are the query
// parameters that the route knows.
func handle(h handler, parameters ...string) http.HandlerFunc {
	return respond(func(w http.ResponseWriter, r *http.Request) error {
		if err := checkQuery(r, parameters); err != nil {
			return err
		}
		return h(w, r)
	})
}

// lenient converts a handler to one for net/http that ignores query parameters,
// since standards require that (RFC 6749 §3.2) or clients use them to bypass
// caches.
func lenient(h handler) http.HandlerFunc {
	return respond(func(w http.ResponseWriter, r *http.Request) error {
		if err := checkForCredentials(r); err != nil {
			return err
		}
		return h(w, r)
	})
}

func respond(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			fail(w, r, err)
		}
	}
}
