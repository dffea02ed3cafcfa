package verifier

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// introspect asks the service about a token (RFC 7662).
func (r *remoteService) introspect(ctx context.Context, token string, _ tokens.Claims) error {
	q, err := r.request(ctx, http.MethodPost, "/oauth2/introspect", url.Values{"token": {token}})
	if err != nil {
		return err
	}
	answer, err := r.client.Do(q)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return statusError(answer)
	}
	var state struct {
		Active *bool `json:"active"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswerBytes)).Decode(&state); err != nil {
		return err
	}
	switch {
	case state.Active == nil:
		return statusError(answer)
	case !*state.Active:
		return ErrRevoked
	}
	return nil
}
