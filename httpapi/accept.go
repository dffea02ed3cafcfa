package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// accepted answers for the claims of the request's access token, where they are
// all that is needed. With a verifier that costs no database read: the token of a
// session that ended is refused within the verifier's bound, and one that was
// replaced by a refresh is good until it expires. [Server.bearer] is strict.
func (s *Server) accepted(next func(http.ResponseWriter, *http.Request, tokens.Claims) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		token, err := bearerToken(r)
		if err != nil {
			return err
		}
		claims, err := s.accept(r.Context(), token)
		if err != nil {
			return refusedToken(err)
		}
		return next(w, r, claims)
	}
}

func (s *Server) accept(ctx context.Context, token string) (tokens.Claims, error) {
	if s.cfg.Verifier != nil {
		return s.cfg.Verifier.Verify(ctx, token)
	}
	_, claims, err := s.store.Get(ctx, token)
	return claims, err
}

func bearerToken(r *http.Request) (string, error) {
	token, err := sessionhttp.BearerToken(r)
	switch {
	case errors.Is(err, sessionhttp.ErrNoToken):
		return "", &problem{code: codeMissingToken}
	case err != nil:
		return "", &problem{code: codeInvalidToken, reason: "malformed"}
	}
	return token, nil
}
