package httpapi

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// The documents below have the members of openapi.yaml. A member without a
// value is absent, never null.

type sessionDocument struct {
	ID       documentID     `json:"id"`
	Subject  string         `json:"subject,omitzero"`
	ClientID string         `json:"client_id"`
	Current  *bool          `json:"current,omitzero"` // public routes only
	Data     jsontext.Value `json:"data,omitzero"`
	Checksum string         `json:"checksum,omitzero"`
	Claims   jsontext.Value `json:"claims,omitzero"`
	contextDocument
	Client      clientDocument `json:"client"`
	LastClient  clientDocument `json:"last_client,omitzero"`
	CreatedAt   time.Time      `json:"created_at"`
	UpdatedAt   time.Time      `json:"updated_at"`
	RefreshedAt time.Time      `json:"refreshed_at,omitzero"`
	ExpiresAt   time.Time      `json:"expires_at"`
	RevokedAt   time.Time      `json:"revoked_at,omitzero"`
	Ended       endedDocument  `json:"ended,omitzero"` // internal routes only
}

// documentID is an id that is encoded without an intermediate string.
type documentID uuid.UUID

// MarshalJSONTo implements [json.MarshalerTo].
func (d *documentID) MarshalJSONTo(e *jsontext.Encoder) error {
	text, err := uuid.UUID(*d).MarshalText()
	if err != nil {
		return err
	}
	quoted := append(append(append(e.AvailableBuffer(), '"'), text...), '"')
	return e.WriteValue(quoted)
}

type endedDocument struct {
	At     time.Time           `json:"at"`
	Reason sessionstore.Reason `json:"reason"`
	By     string              `json:"by,omitzero"`
}

type clientDocument struct {
	Label     string `json:"label,omitzero"`
	UserAgent string `json:"user_agent,omitzero"`
	IP        string `json:"ip,omitzero"`
}

type pageDocument struct {
	Sessions   []sessionDocument `json:"sessions"`
	NextCursor string            `json:"next_cursor,omitzero"`
}

type tokenDocument struct {
	AccessToken      string      `json:"access_token"`
	TokenType        string      `json:"token_type"`
	ExpiresIn        int64       `json:"expires_in"`
	RefreshToken     string      `json:"refresh_token,omitzero"`
	RefreshExpiresIn secondsLeft `json:"refresh_expires_in,omitzero"`
	Scope            string      `json:"scope,omitzero"`
	// Session is present only in the response to a creation.
	Session sessionDocument `json:"session,omitzero"`
}

// secondsLeft may be 0, which is written like any other number.
type secondsLeft int64

// never means no refresh token, and is omitted.
const never secondsLeft = -1

// IsZero tells the encoder what to leave out.
func (s *secondsLeft) IsZero() bool { return *s == never }

// documentOf is the session as the internal routes show it.
func documentOf(s sessionstore.Session) sessionDocument {
	d := foundDocumentOf(s)
	d.Data, d.Checksum, d.Claims = jsontext.Value(s.Data), s.Checksum, jsontext.Value(s.Claims)
	return d
}

// shownTo is the session as the request's key may see it. The version goes with the
// data: if few values are possible, it reveals which one it is.
func shownTo(r *http.Request, s sessionstore.Session) sessionDocument {
	d := documentOf(s)
	if !mayDo(r, RightReadData) {
		d.Data, d.Checksum = nil, ""
	}
	return d
}

// foundDocumentOf is the session as the internal routes list it. Its user does not see
// which key or operator ended it.
func foundDocumentOf(s sessionstore.Session) sessionDocument {
	d := listedDocumentOf(s)
	d.Ended = endedDocumentOf(s.Ended)
	return d
}

func endedDocumentOf(e sessionstore.Ending) endedDocument {
	return endedDocument{At: utc(e.At), Reason: e.Reason, By: e.By}
}

// listedDocumentOf is the session without its data.
func listedDocumentOf(s sessionstore.Session) sessionDocument {
	return sessionDocument{
		ID: documentID(s.ID), Subject: s.Subject, ClientID: s.ClientID, contextDocument: contextDocumentOf(s.Context),
		Client: clientDocumentOf(s.Client), LastClient: clientDocumentOf(s.LastClient),
		CreatedAt: s.CreatedAt.UTC(), UpdatedAt: s.UpdatedAt.UTC(), RefreshedAt: utc(s.RefreshedAt),
		ExpiresAt: s.ExpiresAt.UTC(), RevokedAt: utc(s.RevokedAt),
	}
}

func clientDocumentOf(c sessionstore.Client) clientDocument {
	return clientDocument{Label: c.Label, UserAgent: c.UserAgent, IP: c.IP}
}

// ownDocumentOf is the session as its own user sees it.
func ownDocumentOf(s sessionstore.Session, current uuid.UUID) sessionDocument {
	d := listedDocumentOf(s)
	isCurrent := s.ID == current
	d.Current = &isCurrent
	return d
}

// utc leaves the zero time unchanged, so that it is omitted.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

func tokenDocumentOf(p sessionstore.TokenPair) tokenDocument {
	d := tokenDocument{
		AccessToken:      string(p.AccessToken),
		TokenType:        tokenType(p.KeyThumbprint),
		ExpiresIn:        int64(p.ExpiresIn() / time.Second),
		RefreshToken:     string(p.RefreshToken),
		RefreshExpiresIn: secondsLeft(p.RefreshExpiresIn() / time.Second),
		Scope:            p.Scope,
	}
	if p.RefreshToken == "" {
		d.RefreshExpiresIn = never
	}
	return d
}
