package verifier

import (
	"context"
	"fmt"
	"net/http"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/tokens"
)

type contextKey struct{}

// accepted is the context of a request that was accepted. The claims are those
// remembered with the token: a copy for each request would be more than everything
// else that the check allocates.
type accepted struct {
	context.Context //nolint:containedctx // it is a context

	claims *tokens.Claims
}

// Value returns the claims for their key.
func (a accepted) Value(key any) any {
	if key == (contextKey{}) {
		return a.claims
	}
	return a.Context.Value(key)
}

// FromContext returns the claims that [Verifier.Handler] put into the context.
func FromContext(ctx context.Context) (tokens.Claims, bool) {
	claims, ok := ctx.Value(contextKey{}).(*tokens.Claims)
	if !ok {
		return tokens.Claims{}, false
	}
	return *claims, true
}

// Handler wraps next: it serves requests with a valid access token, with its
// claims in their context. The token is read only from the Authorization header
// (RFC 6750 §2.1); elsewhere it would end up in logs (RFC 9700 §4.3.2).
func (v *Verifier) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, err := v.accept(w, r)
		if err != nil {
			v.cfg.OnError(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(accepted{r.Context(), claims})) //nolint:contextcheck // it is derived from the request's
	})
}

func (v *Verifier) accept(w http.ResponseWriter, r *http.Request) (*tokens.Claims, error) {
	scheme, token, err := authorization.Token(r)
	if err != nil {
		return nil, err
	}
	claims, err := v.verify(r.Context(), token)
	if err == nil {
		if scheme == dpop.Scheme {
			v.cfg.Proofs.SetNonce(w.Header())
		}
		err = notProven(v.cfg.Proofs.Confirm(r, scheme, token, claims.KeyThumbprint))
	}
	if err == nil && v.cfg.Confirm != nil {
		err = v.cfg.Confirm(r, *claims)
	}
	return claims, err
}

// notProven turns an error about a proof into one that says that the token is not
// valid here, or that there is an outage, as error handlers know them.
func notProven(err error) error {
	switch {
	case err == nil:
		return nil
	case dpop.ErrorCode(err) != "":
		return fmt.Errorf("%w: %w", tokens.ErrInvalid, err)
	}
	return unavailable(err)
}

// RequireAuthentication returns a wrapper for handlers below [Verifier.Handler]: it
// serves requests whose user has authenticated as required, and passes the others to
// [Config].OnError with a [tokens.AuthenticationError], which [Error] answers with the
// challenge of RFC 9470. The age of an authentication is judged by the database's clock,
// if its time is known. It fails for a requirement that no challenge can state.
func (v *Verifier) RequireAuthentication(required tokens.Requirement) (func(http.Handler) http.Handler, error) {
	if err := required.Validate(); err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := authorization.ErrNoToken
			if claims, ok := r.Context().Value(contextKey{}).(*tokens.Claims); ok {
				err = required.Check(*claims, v.set.clock.time())
			}
			if err != nil {
				v.cfg.OnError(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}, nil
}

// Claims returns the session's own claims in a verified token, by the json tags of T's
// fields. A name must be spelled as the member is; members that T does not
// have are ignored, and fields without a member are zero.
func Claims[T any](claims tokens.Claims) (T, error) {
	var own T
	err := claims.Decode(&own)
	return own, err
}
