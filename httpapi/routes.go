package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// New returns a server for the store. The key ring must be the store's. New
// sends no query and starts no goroutine.
func New(store Store, keys *tokens.KeyRing, cfg Config) (*Server, error) {
	if store == nil || keys == nil {
		return nil, errors.New("httpapi: a store and a key ring are required")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		store: store, cfg: cfg, logger: cfg.Logger, clientIDs: store.ClientIDs(),
		streamLifetime: streamLifetime, streamPatience: streamPatience,
	}
	s.SetKeys(keys)
	if s.proofs, s.foreignProofs, err = s.newProofs(); err != nil {
		return nil, err
	}
	if s.addressRate, err = newRateLimit[netip.Prefix]("address", cfg.RateLimit, rateMemory); err != nil {
		return nil, err
	}
	if s.sessionRate, err = newRateLimit[uuid.UUID]("session", cfg.SessionRateLimit, rateMemory); err != nil {
		return nil, err
	}
	if err := s.SetServiceKeys(cfg.ServiceKeys); err != nil {
		return nil, err
	}
	if s.metadata, err = newMetadata(cfg.Issuer); err != nil {
		return nil, err
	}
	if s.ssf, err = newSSFMetadata(cfg.Issuer); err != nil {
		return nil, err
	}
	if s.publicIndex, err = newIndex("public"); err != nil {
		return nil, err
	}
	if s.internalIndex, err = newIndex("internal"); err != nil {
		return nil, err
	}
	s.public, s.internal = anywhere{s.publicRoutes()}, anywhere{s.internalRoutes()}
	return s, nil
}

// Public returns the handler of the public listener. It may be mounted below a prefix, with
// http.StripPrefix or chi's Mount, which is then the path of [Config].Issuer. Clients of RFC 8414 look
// for the metadata at /.well-known/oauth-authorization-server followed by the prefix: pass that path
// to this handler unchanged. A chi router passes on only the methods that it knows, and a gateway's
// check may need more.
func (s *Server) Public() http.Handler { return s.public }

// Internal returns the handler of the internal listener, which may be mounted likewise.
func (s *Server) Internal() http.Handler { return s.internal }

// publicRoutes are all routes that browsers and apps can reach.
func (s *Server) publicRoutes() *chi.Mux {
	r := s.router("public")
	r.Use(asCheck)
	if len(s.cfg.CORSOrigins) > 0 {
		r.Use(allowOrigins(s.cfg.CORSOrigins))
	}
	if s.addressRate != nil {
		r.Use(limitAddresses(s.addressRate))
	}
	r.Group(func(r chi.Router) {
		r.Use(limitTime(s.cfg.RequestTimeout))
		r.Post("/oauth2/token", lenient(s.refreshTokens))
		r.Post("/oauth2/revoke", lenient(s.revokeToken))
		r.Get(checkPath, respond(s.check)) // a query is the gateway's client's
		r.Get("/v1/me/sessions/current", handle(s.bearer(s.getCurrentSession)))
		r.Delete("/v1/me/sessions/current", handle(s.accepted(s.endCurrentSession)))
		r.Get("/v1/me/sessions", handle(s.accepted(s.listOwnSessions), "cursor", "limit"))
		r.Delete("/v1/me/sessions", handle(s.accepted(s.endOwnSessions), "keep"))
		r.Patch("/v1/me/sessions/{id}", handle(s.accepted(s.patchOwnSession)))
		r.Delete("/v1/me/sessions/{id}", handle(s.accepted(s.endOwnSession)))
		r.Get("/.well-known/jwks.json", lenient(s.getKeys))
		for _, path := range metadataPaths(s.cfg.Issuer) {
			r.Get(path, lenient(s.metadata.serve))
		}
		for _, path := range ssfPaths(s.cfg.Issuer) {
			r.Get(path, lenient(s.getSSFMetadata))
		}
		r.Get(livenessPath, lenient(s.livez))
		r.Get(descriptionPath, lenient(serveDescription(publicDescription)))
		r.Get("/", lenient(s.publicIndex.serve))
	})
	return r
}

// internalRoutes are the routes that only backends and operators can reach.
func (s *Server) internalRoutes() *chi.Mux {
	r := s.router("internal")
	r.Group(func(r chi.Router) {
		r.Use(limitTime(s.cfg.RequestTimeout))
		r.Post("/v1/sessions", handle(s.keyed(RightCreate, s.createSession)))
		r.Get("/v1/sessions", handle(s.keyed(RightRead, s.listSessions), "subject", "ended", "since", "address", "label", "cursor", "limit"))
		r.Delete("/v1/sessions", handle(s.keyed(RightEnd, s.endSessions), "subject"))
		r.Get("/v1/sessions/{id}", handle(s.keyed(RightRead, s.getSession)))
		r.Get("/v1/sessions/{id}/history", handle(s.keyed(RightRead, s.getHistory)))
		r.Patch("/v1/sessions/{id}", handle(s.keyed(RightCreate, s.patchSession)))
		r.Put("/v1/sessions/{id}/data", handle(s.keyed(RightWriteData, s.putSessionData)))
		r.Get("/v1/sessions/{id}/claims", handle(s.keyed(RightRead, s.getSessionClaims)))
		r.Put("/v1/sessions/{id}/claims", handle(s.keyed(RightCreate, s.putSessionClaims), "supersede"))
		r.Delete("/v1/sessions/{id}", handle(s.keyed(RightEnd, s.endSession)))
		r.Post("/oauth2/introspect", lenient(s.introspecting(s.introspectToken)))
		r.Post("/v1/global-token-revocation", handle(s.keyed(RightEnd, s.revokeGlobally)))
		r.Get("/v1/events/dead", handle(s.keyed(RightEvents, s.listDeadEvents), "endpoint", "cursor", "limit"))
		r.Post("/v1/events/dead/resend", handle(s.keyed(RightEvents, s.resendDeadEvents)))
		r.Get(livenessPath, lenient(s.livez))
		r.Get("/readyz", lenient(s.readyz))
		r.Get("/metrics", handle(s.getMetrics))
		r.Get(descriptionPath, lenient(serveDescription(internalDescription)))
		r.Get("/", lenient(s.internalIndex.serve))
		if s.cfg.Console != nil {
			console := s.cfg.Console(s)
			r.Handle("/console", console)
			r.Handle("/console/*", console)
		}
	})
	// It waits, and limits its own time.
	r.Get("/v1/revocations", handle(s.keyed(RightRevocations, s.getRevocations), "shard", "since", "wait"))
	return r
}

// router returns a router with what both listeners share.
func (s *Server) router(listener string) *chi.Mux {
	r := chi.NewMux()
	if len(s.cfg.TrustedProxies) > 0 {
		r.Use(resolveClient(s.cfg.TrustedProxies), identify(proxiedAddr))
	} else {
		r.Use(identify(remoteAddr))
	}
	if len(s.cfg.Observers) > 0 {
		r.Use(observe(listener, s.cfg.Observers))
	}
	r.Use(
		accessLog(s.logger.With(slog.String("listener", listener))),
		recoverPanics, secure, middleware.GetHead,
	)
	r.NotFound(respond(routeNotFound))
	r.MethodNotAllowed(respond(methodNotAllowed))
	return r
}

func routeNotFound(http.ResponseWriter, *http.Request) error {
	return &problem{code: codeRouteNotFound}
}

// methodNotAllowed names the methods that the route allows (RFC 9110 §15.5.6); chi's
// own answer would too, but not as a problem document.
func methodNotAllowed(w http.ResponseWriter, r *http.Request) error {
	routes := chi.RouteContext(r.Context()).Routes
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
			w.Header().Add("Allow", method)
			if method == http.MethodGet {
				w.Header().Add("Allow", http.MethodHead)
			}
		}
	}
	return &problem{code: codeMethodNotAllowed}
}

// Unavailable answers in place of a [Server] while there is none because its database
// is not available yet: it is alive, and everything else is 503 with Retry-After.
func Unavailable(logger *slog.Logger) http.Handler {
	r := chi.NewMux()
	r.Use(identify(remoteAddr), accessLog(logger), recoverPanics, secure, middleware.GetHead)
	var none *Server
	r.Get(livenessPath, lenient(none.livez))
	unavailable := respond(func(http.ResponseWriter, *http.Request) error {
		return &problem{code: codeUnavailable, reason: "starting"}
	})
	r.HandleFunc("/oauth2/*", unavailable) // which have their own error format
	r.NotFound(unavailable)
	r.MethodNotAllowed(unavailable)
	return anywhere{r}
}
