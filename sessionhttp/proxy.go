package sessionhttp

import (
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/latchkey-sessions/latchkey/internal/authorization"
)

// Proxy passes the requests of sessions on to an API, with the session's access token in place of the
// cookies: a page calls the API as if it were on its own site, without having a token (a backend for
// frontend). It belongs below [Manager.Handler], which refreshes the token in time, behind an
// [http.StripPrefix] if the API's paths differ; target may have a path. WebSockets pass.
// Requests without a session are passed to [Config].OnError with [ErrNoToken].
//
// The API sees neither cookies nor the Origin header, which has been checked, and sets no cookies. Nil
// for transport means [http.DefaultTransport].
//
// An API that introspects tokens should do so without confirming them: the browser may not have the new pair yet.
// See docs/holders.md.
func (m *Manager[T]) Proxy(target *url.URL, transport http.RoundTripper) http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Cookie")
			r.Out.Header.Del("Origin")
			r.Out.Header.Set("Authorization", authorization.Bearer+" "+string(m.From(r.In.Context()).AccessToken()))
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("Set-Cookie")
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil { // or the client has left
				m.cfg.Logger.ErrorContext(r.Context(), "the API did not answer", "error", err.Error())
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := m.From(r.Context()); s == nil || s.AccessToken() == "" {
			m.cfg.OnError(w, r, ErrNoToken)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}
