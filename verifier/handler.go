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
