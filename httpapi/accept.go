package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// accepted passes on the claims of the request's access token, if they are all
// that is needed. With a verifier, that costs no database read: the token of a
// session that ended is refused within the verifier's bound, and one that was replaced by a refresh is valid until it
// expires. [Server.bearer] is strict, and so is this for a token of Compas, which no verifier knows.
func (s *Server) accepted(next func(http.ResponseWriter, *http.Request, tokens.Claims) error) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		scheme, token, err := accessToken(r)
		if err != nil {
			return err
		}
		confirmed, err := s.countBearer(w, r, scheme, token)
		if err != nil {
			return err
		}
		claims, err := s.accept(r.Context(), token)
		if err != nil {
			return refusedToken(err)
		}
		if !confirmed {
			if err := s.confirm(w, r, scheme, token, claims); err != nil {
				return err
			}
		}
		infoOf(r).session, infoOf(r).actor = claims.SessionID, claims.Actor
		return next(w, r, claims)
	}
}

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

func (s *Server) accept(ctx context.Context, token string) (tokens.Claims, error) {
	if s.cfg.Verifier != nil && !s.store.TakesFromCompas(token) {
		return s.cfg.Verifier.Verify(ctx, token)
	}
	_, claims, err := s.store.Get(ctx, token)
	return claims, err
}

// strict returns the session of the request's access token. check, if set, is
// called before the use of the token is recorded.
func (s *Server) strict(w http.ResponseWriter, r *http.Request, check func(tokens.Claims) error) (sessionstore.Session, tokens.Claims, error) {
	scheme, token, err := accessToken(r)
	if err != nil {
		return sessionstore.Session{}, tokens.Claims{}, err
	}
	confirmed, err := s.countBearer(w, r, scheme, token)
	if err != nil {
		return sessionstore.Session{}, tokens.Claims{}, err
	}
	session, claims, err := s.store.GetWith(r.Context(), token, sessionstore.GetOptions{Check: func(claims tokens.Claims) error {
		if !confirmed {
			if err := s.confirm(w, r, scheme, token, claims); err != nil {
				return err
			}
		}
		if check != nil {
			return check(claims)
		}
		return nil
	}})
	return session, claims, refusedToken(err)
}

func accessToken(r *http.Request) (scheme, token string, err error) {
	scheme, token, err = sessionhttp.AccessToken(r)
	switch {
	case errors.Is(err, sessionhttp.ErrNoToken):
		return "", "", &problem{code: codeMissingToken}
	case isRepeated(r.Header, "Authorization"):
		return "", "", &problem{code: codeDuplicateParameter, parameter: "Authorization"} // RFC 6750 §3.1
	case err != nil && isOtherScheme(r):
		return "", "", &problem{code: codeMissingToken} // RFC 6750 §3: as if there were no credential
	case err != nil:
		return "", "", &problem{code: codeInvalidToken, reason: "malformed"}
	}
	return scheme, token, nil
}

// isOtherScheme reports whether a request tries to authenticate in a way that has
// nothing to do with access tokens.
func isOtherScheme(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return !strings.EqualFold(scheme, "Bearer") && !strings.EqualFold(scheme, dpop.Scheme)
}
