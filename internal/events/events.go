// Package events notifies other systems of sessions' events: that one was created, that
// its claims changed, that it ended and why.
//
// It promises that it costs requests nothing, that each event is delivered at least once
// to each endpoint that subscribes to it, whatever happens to the process, and that the
// events of one session arrive in order. No endpoint waits for another one.
//
// Events are derived: one replica at a time reads what has changed since a stored position,
// and writes a row for each delivery in the transaction that moves the position. Any replica
// delivers what is due.
package events

import (
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// Type is a kind of event.
type Type string

// The types of events.
const (
	// TypeCreated: a session was created. Its member replaces names the session that it
	// replaced, if any.
	TypeCreated Type = "session.created"
	// TypeClaimsChanged: the access tokens of a session were superseded, because its claims
	// were replaced or its lifetimes shortened.
	TypeClaimsChanged Type = "session.claims_changed"
	// TypeEnded: a session was ended. Its members reason and by say why.
	TypeEnded Type = "session.ended"
)

// Format is the form of what is sent to an endpoint.
type Format string

// The formats.
const (
	// FormatWebhook is JSON, signed as Standard Webhooks specifies
	// (https://www.standardwebhooks.com).
	FormatWebhook Format = "webhook"
	// FormatSET is a Security Event Token (RFC 8417) with an event of CAEP, pushed as RFC 8935
	// says. Only some types have one: see [Format.Types].
	FormatSET Format = "set"
)

// Formats returns all formats.
func Formats() []Format { return []Format{FormatWebhook, FormatSET} }

// Types returns all types that a format can express.
func (f Format) Types() []Type {
	if f == FormatSET {
		return []Type{TypeCreated, TypeEnded}
	}
	return []Type{TypeCreated, TypeClaimsChanged, TypeEnded}
}

// Endpoint is a destination of events.
type Endpoint struct {
	// Name identifies it in deliveries, metrics and the log. Required.
	Name string
	// URL accepts a POST. Required. It may hold a password.
	URL tokens.Secret
	// Format is what is sent. Empty means [FormatWebhook].
	Format Format
	// Audience is the audience of Security Event Tokens. Required for [FormatSET].
	Audience string
	// Secret returns what webhooks are signed with: "whsec_" and 24 to 64 bytes in base64. For
	// Security Event Tokens it is the Authorization header's value, and nil means that there is
	// none. It is called for each delivery, because the secret may have been replaced.
	Secret func() (tokens.Secret, error)
	// Types are those that it subscribes to, out of those of its format. Nil means all of
	// these.
	Types []Type
	// Clients are the ids of the OAuth clients whose sessions it subscribes to. Nil
	// means all.
	Clients []string
}

// Observer counts deliveries, on this replica.
type Observer interface {
	// Attempted is called after an attempt to deliver. If it failed, err says why, and
	// dead that there will be no other.
	Attempted(endpoint string, err error, dead bool)
}

// nobody is an Observer that does nothing.
type nobody struct{}

func (nobody) Attempted(string, error, bool) {}

// Config says which events to send, and where.
type Config struct {
	// Pool leads to the sessions. Required.
	Pool *pgxpool.Pool
	// Endpoints may be empty: then nothing is sent, and [Runner.Run] does nothing.
	Endpoints []Endpoint
	// FirstClient is the OAuth client of sessions that name none.
	FirstClient string
	// Issuer is the subjects' issuer, and Sign signs for it. Both are required if an
	// endpoint takes Security Event Tokens.
	Issuer string
	Sign   func(tokens.SecurityEvent) ([]byte, error)
	// Logger records failures. Required.
	Logger *slog.Logger
	// Observer, if set, is notified of each attempt.
	Observer Observer
}
