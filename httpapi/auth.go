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
		session, _, err := s.strict(w, r, nil)
		if err != nil {
			return err
		}
		return next(w, r, session)
	}
}

// keyed answers for whoever has a service key.
func (s *Server) keyed(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		secret, err := sessionhttp.BearerToken(r)
		switch {
		case errors.Is(err, sessionhttp.ErrNoToken):
			return &problem{code: codeMissingServiceKey}
		case isRepeated(r.Header, "Authorization"):
			return &problem{code: codeDuplicateParameter, parameter: "Authorization"} // RFC 6750 §3.1
		}
		name, known := s.serviceKeyName(secret)
		if err != nil || !known {
			s.logger.LogAttrs(r.Context(), slog.LevelWarn, "service key refused",
				slog.String("route", routeOf(r)), slog.String("client", clientAddr(r.Context())), slog.String("request_id", infoOf(r).id))
			return &problem{code: codeInvalidServiceKey}
		}
		infoOf(r).serviceKey = name
		return next(w, r)
	}
}

// isRepeated tells whether a header that may be there once is there again: it
// may be the one that a proxy looked at, or the other.
func isRepeated(h http.Header, name string) bool { return len(h.Values(name)) > 1 }

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
