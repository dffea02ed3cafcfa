package verifier

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// maxAnswerBytes limits what is read of a response about one token or of
// keys. Introspection also returns the session's data.
const maxAnswerBytes = 4 << 20

// remoteService is the service's internal listener, reached over HTTP.
type remoteService struct {
	internal   string
	serviceKey tokens.Secret
	client     *http.Client
}

// request is one to the internal listener.
func (r *remoteService) request(ctx context.Context, method, path string, form url.Values) (*http.Request, error) {
	q, err := http.NewRequestWithContext(ctx, method, r.internal+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Authorization", "Bearer "+string(r.serviceKey))
	if form != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return q, nil
}

// statusError is a response with an unexpected status. Its body is not repeated.
func statusError(answer *http.Response) error {
	return fmt.Errorf("%s: status %d", answer.Request.URL.Path, answer.StatusCode)
}

// pause waits, and returns false if ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

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
