package command

import (
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// sessionJSON has the members that the HTTP API gives a listed session.
type sessionJSON struct {
	ID          string              `json:"id"`
	Subject     string              `json:"subject,omitzero"`
	ClientID    string              `json:"client_id"`
	AuthTime    int64               `json:"auth_time,omitzero"`
	ACR         string              `json:"acr,omitzero"`
	AMR         []string            `json:"amr,omitempty"`
	Actor       *tokens.Actor       `json:"act,omitzero"`
	Client      sessionstore.Client `json:"client"`
	LastClient  sessionstore.Client `json:"last_client,omitzero"`
	CreatedAt   time.Time           `json:"created_at"`
	UpdatedAt   time.Time           `json:"updated_at"`
	RefreshedAt time.Time           `json:"refreshed_at,omitzero"`
	ExpiresAt   time.Time           `json:"expires_at"`
	Ended       endedJSON           `json:"ended,omitzero"`
}

type endedJSON struct {
	At     time.Time           `json:"at"`
	Reason sessionstore.Reason `json:"reason"`
	By     string              `json:"by,omitzero"`
}

func sessionJSONOf(s sessionstore.Session) sessionJSON {
	j := sessionJSON{
		ID: s.ID.String(), Subject: s.Subject, ClientID: s.ClientID, Actor: s.Actor, Client: s.Client, LastClient: s.LastClient,
		CreatedAt: seconds(s.CreatedAt), UpdatedAt: seconds(s.UpdatedAt), RefreshedAt: seconds(s.RefreshedAt), ExpiresAt: seconds(s.ExpiresAt),
		Ended: endedJSON{seconds(s.Ended.At), s.Ended.Reason, s.Ended.By},
	}
	if a := s.Authentication; a != nil {
		j.ACR, j.AMR = a.ACR, a.AMR
		if !a.AuthTime.IsZero() {
			j.AuthTime = a.AuthTime.Unix()
		}
	}
	return j
}

// seconds leaves the zero time unchanged, so that it is omitted.
func seconds(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}
