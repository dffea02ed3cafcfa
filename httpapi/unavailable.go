package httpapi

import (
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

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
