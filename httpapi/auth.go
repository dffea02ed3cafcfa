package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
)

// keyed answers for a service key that has the right.
func (s *Server) keyed(right Right, next handler) handler {
	next = permitted(right, next)
	return func(w http.ResponseWriter, r *http.Request) error {
		secret, err := sessionhttp.BearerToken(r)
		switch {
		case errors.Is(err, sessionhttp.ErrNoToken):
			return &problem{code: codeMissingServiceKey}
		case isRepeated(r.Header, "Authorization"):
			return &problem{code: codeDuplicateParameter, parameter: "Authorization"} // RFC 6750 §3.1
		}
		key, known := s.serviceKey(secret)
		if err != nil || !known {
			s.logger.LogAttrs(r.Context(), slog.LevelWarn, "service key refused",
				slog.String("route", routeOf(r)), slog.String("client", infoOf(r).client), slog.String("request_id", infoOf(r).id))
			return &problem{code: codeInvalidServiceKey}
		}
		key.note(r)
		return next(w, r)
	}
}

// permitted answers requests whose key has the right.
func permitted(right Right, next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := need(r, right); err != nil {
			return err
		}
		return next(w, r)
	}
}

// need returns an error if the request's key does not have the right.
func need(r *http.Request, right Right) error {
	if mayDo(r, right) {
		return nil
	}
	return &problem{code: codeMissingRight, right: right, detail: `It needs the right "` + string(right) + `".`}
}

func mayDo(r *http.Request, right Right) bool { return slices.Contains(infoOf(r).rights, right) }

// isRepeated reports whether a header that may occur once occurs more than
// once: a proxy may have looked at either one.
func isRepeated(h http.Header, name string) bool { return len(h.Values(name)) > 1 }

// stillMay reports whether the request's service key is still there, with the right.
func (s *Server) stillMay(r *http.Request, right Right) bool {
	info := infoOf(r)
	return slices.ContainsFunc(*s.serviceKeys.Load(), func(k serviceKey) bool {
		return k.name == info.serviceKey && k.digest == info.keyDigest && slices.Contains(k.rights, right)
	})
}

// SetServiceKeys makes the server accept these keys, and no others, from now on. It
// fails as [New] does for [Config.ServiceKeys]; then the previous keys stay.
func (s *Server) SetServiceKeys(keys []ServiceKey) error {
	if err := checkServiceKeys(keys); err != nil {
		return err
	}
	next := make([]serviceKey, len(keys))
	for i, k := range keys {
		next[i] = newServiceKey(k)
	}
	s.serviceKeys.Store(&next)
	return nil
}

// usualSecretBytes is the length up to which a secret is hashed without an allocation.
const usualSecretBytes = 128

// serviceKey takes the same time for every wrong secret: it compares digests, which
// all have one length, with every key.
func (s *Server) serviceKey(secret string) (key serviceKey, known bool) {
	digest := sha256.Sum256(append(make([]byte, 0, usualSecretBytes), secret...))
	for _, k := range *s.serviceKeys.Load() {
		if subtle.ConstantTimeCompare(digest[:], k.digest[:]) == 1 {
			key, known = k, true
		}
	}
	return key, known
}

// Key returns the service key with the secret, if there is one.
func (s *Server) Key(secret string) (KeyInfo, bool) {
	key, known := s.serviceKey(secret)
	return key.info(), known
}

// KeyNamed returns the service key with the name, if there is one.
func (s *Server) KeyNamed(name string) (KeyInfo, bool) {
	keys := *s.serviceKeys.Load()
	i := slices.IndexFunc(keys, func(k serviceKey) bool { return k.name == name })
	if i < 0 {
		return KeyInfo{}, false
	}
	return keys[i].info(), true
}
