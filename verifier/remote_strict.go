package verifier

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// maxAnswerBytes limits what is read of a response about one token or of
// keys. Introspection also returns the session's data.
const maxAnswerBytes = 4 << 20

// introspect asks the service about a token (RFC 7662).
func (r *remote) introspect(ctx context.Context, token string, _ tokens.Claims) error {
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
