package audit

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// Name says what happened.
type Name string

// The events.
const (
	// SessionCreated has the new session and its subject.
	SessionCreated Name = "session.created"
	// SessionUpdated says that a session's data was replaced.
	SessionUpdated Name = "session.updated"
	// SessionPatched says that a session's lifetimes or label were changed.
	SessionPatched Name = "session.patched"
	// SessionClaimsSet says that a session's claims were replaced, or its access tokens
	// superseded. It does not say what they are.
	SessionClaimsSet Name = "session.claims_set"
	// SessionRevoked says that a session was ended.
	SessionRevoked Name = "session.revoked"
	// SessionsRevoked says that several sessions were ended at once: Count of the
	// Subject's sessions, or of All.
	SessionsRevoked Name = "sessions.revoked"
	// SessionsRemoved says that cleanup ended sessions because of their age.
	SessionsRemoved Name = "sessions.removed"
	// SigningKeyRotated says that a new signing key was made, or signs from now on.
	SigningKeyRotated Name = "signing_key.rotated"
	// SigningKeyRevoked says that a signing key was removed, and its tokens with it.
	SigningKeyRevoked Name = "signing_key.revoked"
	// JobSentAgain says that a job that had been given up is retried.
	JobSentAgain Name = "job.sent_again"
	// EventsSentAgain says that Count deliveries of events that had been given up are retried:
	// DeliveryIDs, or those to an Endpoint, or All.
	EventsSentAgain Name = "events.sent_again"
)

// Reason says why sessions were ended.
type Reason string

// Why sessions are ended.
const (
	// Requested: the actor asked for it.
	Requested Reason = "requested"
	// TokenReuse: a refresh token came back that two parties held.
	TokenReuse Reason = "token_reuse"
	// Limit: the subject had more sessions than allowed.
	Limit Reason = "limit"
	// Replaced: another session, which the same actor created, took its place.
	Replaced Reason = "replaced"
	// MaxAge: the sessions were older than allowed.
	MaxAge Reason = "max_age"
)

// Event is something that happened. Members that do not apply are zero, and omitted.
type Event struct {
	// Time is when it happened, by the clock of this process. Zero means now.
	Time time.Time
	// ID is the event's own, so that readers can recognize a repeated line. Zero means a new
	// one.
	ID uuid.UUID
	// Name says what happened.
	Name Name
	// Origin says who did it, and in which request.
	Origin
	// SessionID is the session, if it is a single one.
	SessionID uuid.UUID
	// Subject is the user of the session, or sessions; empty for none.
	Subject string
	// ClientID is that session's client; empty if it is not known, and for several: see
	// Clients.
	ClientID string
	// Act is who acts for the subject in a session that was created; nil if they act
	// for themselves.
	Act *tokens.Actor
	// All says that they are all sessions, or all deliveries.
	All bool
	// Kept is the one session of the subject that was left alone.
	Kept uuid.UUID
	// Count is the number of sessions or deliveries, if there may be several.
	Count int64
	// Clients is how many of the sessions each client had, by its id.
	Clients map[string]int64
	// Reason says why they were ended.
	Reason Reason
	// Theft is the kind of a token's reuse, such as stale.
	Theft string
	// KeyID is the signing key.
	KeyID string
	// JobID is the job.
	JobID int64
	// DeliveryIDs are the deliveries, if they were named.
	DeliveryIDs []int64
	// Endpoint is the endpoint, if all deliveries to one are meant.
	Endpoint string
}

// timeFormat is RFC 3339 in UTC, with a fixed width, so that text order is time order.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// line is an event as written: the order of its members is chosen for readers.
type line struct {
	Time      string           `json:"time"`
	ID        uuid.UUID        `json:"id"`
	Event     Name             `json:"event"`
	Actor     Actor            `json:"actor"`
	SessionID uuid.UUID        `json:"session_id,omitzero"`
	Subject   string           `json:"subject,omitempty"`
	ClientID  string           `json:"client_id,omitempty"`
	Act       *tokens.Actor    `json:"act,omitempty"`
	All       bool             `json:"all,omitempty"`
	Kept      uuid.UUID        `json:"kept_session_id,omitzero"`
	Count     int64            `json:"count,omitempty"`
	Clients   map[string]int64 `json:"clients,omitempty"`
	Reason    Reason           `json:"reason,omitempty"`
	Theft     string           `json:"theft,omitempty"`
	KeyID     string           `json:"key_id,omitempty"`
	JobID     int64            `json:"job_id,omitempty"`
	Delivered []int64          `json:"delivery_ids,omitempty"`
	Endpoint  string           `json:"endpoint,omitempty"`
	ClientIP  string           `json:"client_ip,omitempty"`
	RequestID string           `json:"request_id,omitempty"`
	TraceID   string           `json:"trace_id,omitempty"`
}

// encode returns the event's line.
func (e Event) encode() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(line{
		Time: e.Time.UTC().Format(timeFormat), ID: e.ID, Event: e.Name, Actor: e.Actor,
		SessionID: e.SessionID, Subject: e.Subject, ClientID: e.ClientID, Act: e.Act, All: e.All, Kept: e.Kept, Count: e.Count, Clients: e.Clients,
		Reason: e.Reason, Theft: e.Theft, KeyID: e.KeyID, JobID: e.JobID, Delivered: e.DeliveryIDs, Endpoint: e.Endpoint,
		ClientIP: e.ClientIP, RequestID: e.RequestID, TraceID: e.TraceID,
	})
	return b.Bytes(), err
}
