package client

import (
	"context"
	"net/http"

	"github.com/google/uuid"
)

func sessionPath(id uuid.UUID) string { return "/v1/sessions/" + id.String() }

// Session returns a session (getSession), including one that has ended, until cleanup removes it:
// see [Session.Ended]. It needs the right read. Data and Checksum are present with the right
// read-data.
//
// Errors are [ErrNotFound], [ErrServiceKey], [ErrMissingRight] and [ErrUnavailable].
func (c *Client) Session(ctx context.Context, id uuid.UUID) (Session, error) {
	session, _, err := ask[Session](ctx, c, call{operation: "getSession", method: http.MethodGet, path: sessionPath(id), again: true})
	return session, err
}

// SessionHistory returns the life of a session (getSessionHistory): where it was created, how
// often it was refreshed, by whom it was ended and why. It needs the right read.
//
// Errors are those of [Client.Session].
func (c *Client) SessionHistory(ctx context.Context, id uuid.UUID) (History, error) {
	history, _, err := ask[History](ctx, c, call{
		operation: "getSessionHistory", method: http.MethodGet, path: sessionPath(id) + "/history", again: true,
	})
	return history, err
}

// PatchSession changes a live session's lifetimes and label (patchSession), and returns the
// changed session. Lifetimes are counted from now. It needs the right create.
//
// Errors are those of [Client.Session], [ErrEnded] and [ErrInvalidArgument].
func (c *Client) PatchSession(ctx context.Context, id uuid.UUID, patch SessionPatch) (ListedSession, error) {
	session, _, err := ask[ListedSession](ctx, c, call{
		operation: "patchSession", method: http.MethodPatch, path: sessionPath(id), body: patch, again: true,
	})
	return session, err
}
