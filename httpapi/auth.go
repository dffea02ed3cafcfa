package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// bearer answers for the session of the request's access token.
func (s *Server) bearer(next func(http.ResponseWriter, *http.Request, sessionstore.Session) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		token, err := bearerToken(r)
		if err != nil {
			return err
		}
		session, _, err := s.store.Get(r.Context(), token)
		if err != nil {
			return refusedToken(err)
		}
		return next(w, r, session)
	}
}

// keyed answers for whoever has a service key.
func (s *Server) keyed(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		secret, err := sessionhttp.BearerToken(r)
		if errors.Is(err, sessionhttp.ErrNoToken) {
			return &problem{code: codeMissingServiceKey}
		}
		name, known := s.serviceKeyName(secret)
		if err != nil || !known {
			s.logger.LogAttrs(r.Context(), slog.LevelWarn, "service key refused",
				slog.String("route", routeOf(r)), slog.String("client", clientAddr(r)), slog.String("request_id", infoOf(r).id))
			return &problem{code: codeInvalidServiceKey}
		}
		infoOf(r).serviceKey = name
		return next(w, r)
	}
}

type serviceKey struct {
	name   string
	digest [sha256.Size]byte
}

// serviceKeyName takes the same time for every wrong secret: it compares
// digests, which have one length, with all keys.
func (s *Server) serviceKeyName(secret string) (name string, known bool) {
	digest := sha256.Sum256([]byte(secret))
	for _, k := range s.serviceKeys {
		if subtle.ConstantTimeCompare(digest[:], k.digest[:]) == 1 {
			name, known = k.name, true
		}
	}
	return name, known
}
