package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/google/uuid"
)

// EndSession ends a session, including both of its tokens (endSession). Ending it again is
// not an error. It needs the right end.
//
// Errors are those of [Client.Session].
func (c *Client) EndSession(ctx context.Context, id uuid.UUID) error {
	_, err := c.send(ctx, call{operation: "endSession", method: http.MethodDelete, path: sessionPath(id), again: true})
	return err
}

// EndSessions ends all of a subject's sessions (endSessions), and returns how many were live.
// After an error some may have ended, and stay ended. If the call was retried, the number is
// that of the last attempt. It needs the right end.
//
// Errors are [ErrInvalidArgument], [ErrServiceKey], [ErrMissingRight] and [ErrUnavailable].
func (c *Client) EndSessions(ctx context.Context, subject string) (int64, error) {
	ended, _, err := ask[revoked](ctx, c, call{
		operation: "endSessions", method: http.MethodDelete, path: "/v1/sessions", query: url.Values{"subject": {subject}}, again: true,
	})
	return ended.Revoked, err
}

type revoked struct {
	Revoked int64 `json:"revoked"`
}

// RevokeGlobally ends all sessions of the subject that an identity provider names
// (revokeGlobally, draft-parecki-oauth-global-token-revocation). After an error some may have
// ended, and stay ended. It needs the right end.
//
// Errors are [ErrNotFound] if no session of such a subject is known, and those of
// [Client.EndSessions].
func (c *Client) RevokeGlobally(ctx context.Context, subject SubjectIdentifier) error {
	_, err := c.send(ctx, call{
		operation: "revokeGlobally", method: http.MethodPost, path: "/v1/global-token-revocation", again: true,
		body: map[string]SubjectIdentifier{"sub_id": subject},
	})
	return err
}
