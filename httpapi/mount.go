package httpapi

import (
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"
)

// anywhere is a router that answers alike wherever it is mounted. http.StripPrefix takes the
// prefix off the URL, chi's Mount only notes in its routing context what is left; and a
// router of chi's shares the context of the one around it, whose routes are others.
// Here the router has a context of its own, and the URL's path is that of openapi.yaml.
type anywhere struct{ *chi.Mux }

func (a anywhere) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, _ := routes.Get().(*chi.Context)
	route.Routes = a.Mux
	outer := chi.RouteContext(r.Context())
	r = r.WithContext(&requestContext{Context: r.Context(), route: route}) //nolint:contextcheck // it is made from the request's
	if outer != nil {
		r.URL = below(r.URL, outer.RoutePath)
	}
	a.Mux.ServeHTTP(w, r)
	route.Reset()
	routes.Put(route)
}

// below is the URL with the path that a router of chi's has left to route. An empty one is
// the whole, as is one that is longer: what stands between has then taken a prefix off the URL.
func below(u *url.URL, rest string) *url.URL {
	whole := u.Path
	if u.RawPath != "" {
		whole = u.RawPath // what chi looks at
	}
	if rest == "" || len(rest) >= len(whole) {
		return u
	}
	short := *u
	short.Path = rest
	if u.RawPath != "" {
		// A part of a path that could be decoded can be, too.
		short.RawPath = rest
		short.Path, _ = url.PathUnescape(rest)
	}
	return &short
}
