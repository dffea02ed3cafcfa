package audit

import (
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// ActorType says what an actor is.
type ActorType string

// The types of actors.
const (
	// ServiceKey is a backend; ID is its key's name.
	ServiceKey ActorType = "service_key"
	// Subject is a user, with a token of their own session; ID is the subject. It is
	// empty in an [Origin] that does not know it: then it is the session's, and so, for
	// a session that is ended, is Act if the origin has none.
	Subject ActorType = "subject"
	// Session is the holder of a token of a session without a subject.
	Session ActorType = "session"
	// Operator is a person at a command line or on the operators' page; ID is user@host, or
	// the name of the key that they signed in with.
	Operator ActorType = "operator"
	// System is the program itself.
	System ActorType = "system"
)

// Actor is the party that did something.
type Actor struct {
	Type ActorType `json:"type"`
	ID   string    `json:"id,omitempty"`
	// SessionID is the session whose token a subject used, where it is known.
	SessionID uuid.UUID `json:"session_id,omitzero"`
	// Act is who acts for the subject in that session; nil if they act for themselves.
	Act *tokens.Actor `json:"act,omitempty"`
}

// Origin says who did something, and in which request.
type Origin struct {
	Actor Actor
	// ClientIP is the address that the request came from.
	ClientIP string
	// RequestID is the request's X-Request-Id, which is also in the log of requests.
	RequestID string
	// TraceID is that of the request's trace.
	TraceID string
}

type originKey struct{}

// WithOrigin returns a context in which the origin acts.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf returns who acts in a context: [System] if none was named.
func OriginOf(ctx context.Context) Origin {
	if o, ok := ctx.Value(originKey{}).(Origin); ok {
		return o
	}
	return Origin{Actor: Actor{Type: System}}
}
