package httpapi

import (
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"
)

// anywhere is a router that works the same wherever it is mounted. http.StripPrefix removes
// the prefix from the URL, while chi's Mount only records the remainder in its routing
// context; and a chi router shares the context of the router around it, which has other
// routes. Here the router has its own context, and the URL's path is that of openapi.yaml.
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

// below is the URL with the path that a chi router has left to route. An empty one means the
// whole path, as does a longer one: then a handler in between has removed a prefix from the
// URL.
func below(u *url.URL, rest string) *url.URL {
	whole := u.Path
	if u.RawPath != "" {
		whole = u.RawPath // what chi routes by
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
