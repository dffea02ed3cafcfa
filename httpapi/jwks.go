package httpapi

import (
	"net/http"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// SetKeys replaces the public keys that are published, and their ETag. It may be
// called while the server runs. The store must be given the keys separately: see
// its SetKeys.
func (s *Server) SetKeys(keys *tokens.KeyRing) {
	jwks := newCacheable(jsonType, keys.PublicJWKS())
	s.jwks.Store(&jwks)
	s.setNonceSecrets(keys)
}

func (s *Server) getKeys(w http.ResponseWriter, r *http.Request) error {
	return s.jwks.Load().serve(w, r)
}
