package httpapi

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// A request counts towards the session whose token it has, but only if the token
// verifies: otherwise anyone could use up another's requests. A token that does not
// verify is refused later, without the database.

// countRefresh counts a token request, for a bound token only if possession of
// its key has been proven.
func (s *Server) countRefresh(w http.ResponseWriter, refreshToken, proven string) error {
	claims, counts := s.countable(refreshToken)
	if !counts || claims.KeyThumbprint != "" && claims.KeyThumbprint != proven {
		return nil
	}
	return s.count(w, claims)
}

// countRevocation counts a revocation, which needs no proof.
func (s *Server) countRevocation(w http.ResponseWriter, token string) error {
	if claims, counts := s.countable(token); counts {
		return s.count(w, claims)
	}
	return nil
}

// countBearer counts a request with an access token. If it counts it, it has also
// confirmed the token, since a proof can be used only once.
func (s *Server) countBearer(w http.ResponseWriter, r *http.Request, scheme, token string) (confirmed bool, err error) {
	claims, counts := s.countable(token)
	if !counts {
		return false, nil
	}
	if err := s.confirm(w, r, scheme, token, claims); err != nil {
		return false, err
	}
	return true, s.count(w, claims)
}

func (s *Server) countable(token string) (claims tokens.Claims, counts bool) {
	if s.sessionRate == nil {
		return tokens.Claims{}, false
	}
	claims, err := s.store.VerifyToken(token)
	return claims, err == nil
}

func (s *Server) count(w http.ResponseWriter, claims tokens.Claims) error {
	session := claims.SessionID
	if session == uuid.Nil {
		session = claims.TokenID // a token of Compas, which does not name its session
	}
	return s.sessionRate.take(w.Header(), session)
}
