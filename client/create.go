package client

import (
	"context"
	"net/http"

	"github.com/google/uuid"
)

// CreateSession creates a session and its tokens (createSession), for instance after a login.
// It needs the right create, and for Replaces also end.
//
// Each call generates an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header), so that
// it can be retried and still makes only one session. To retry after a restart, see
// [Client.CreateSessionOnce].
//
// With Replaces, the new session takes the place of another one, which ends at that moment:
// when a guest signs in, and whenever a user gains rights.
//
// Errors are [ErrInvalidArgument], [ErrTooManySessions], [ErrNotReplaceable], [ErrServiceKey],
// [ErrMissingRight] and [ErrUnavailable].
func (c *Client) CreateSession(ctx context.Context, session NewSession) (CreatedSession, error) {
	return c.CreateSessionOnce(ctx, uuid.NewString(), session)
}

// CreateSessionOnce is [Client.CreateSession] with the caller's key, of up to 255
// visible ASCII characters: the same creation with the same key gives the same session, with
// its present tokens, for as long as the session is kept. A different creation with that key
// fails with [ErrIdempotencyKeyReused]. If the session has ended meanwhile, the error is
// [ErrEnded].
func (c *Client) CreateSessionOnce(ctx context.Context, idempotencyKey string, session NewSession) (CreatedSession, error) {
	created, _, err := ask[CreatedSession](ctx, c, call{
		operation: "createSession", method: http.MethodPost, path: "/v1/sessions", body: session, again: true, has: "access_token",
		header: http.Header{"Idempotency-Key": {`"` + idempotencyKey + `"`}},
	})
	return created, err
}
