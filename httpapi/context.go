package httpapi

import (
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// newContext is what a creation says of how the user authenticated, and of who acts
// for them.
type newContext struct {
	AuthTime *int64        `json:"auth_time"`
	ACR      *string       `json:"acr"`
	AMR      *[]string     `json:"amr"`
	Actor    *tokens.Actor `json:"act"`
}

func (n newContext) addTo(params *sessionstore.CreateParams) error {
	params.Actor = n.Actor
	if n.AuthTime == nil && n.ACR == nil && n.AMR == nil {
		return nil
	}
	params.Authentication = &tokens.Authentication{}
	if n.AuthTime != nil {
		if *n.AuthTime < 0 {
			return invalidMember("/auth_time", "It must not be negative: it is a number of seconds since 1970.")
		}
		params.Authentication.AuthTime = time.Unix(*n.AuthTime, 0)
	}
	if n.ACR != nil {
		if *n.ACR == "" {
			return invalidMember("/acr", "It is empty. Leave it out if it is not known.")
		}
		params.Authentication.ACR = *n.ACR
	}
	if n.AMR != nil {
		if len(*n.AMR) == 0 {
			return invalidMember("/amr", "It is empty. Leave it out if no method is known.")
		}
		params.Authentication.AMR = *n.AMR
	}
	return nil
}

// contextDocument is the same as answers have it.
type contextDocument struct {
	AuthTime *int64        `json:"auth_time,omitzero"`
	ACR      string        `json:"acr,omitzero"`
	AMR      []string      `json:"amr,omitempty"`
	Actor    *tokens.Actor `json:"act,omitzero"`
}

func contextDocumentOf(c tokens.Context) contextDocument {
	d := contextDocument{Actor: c.Actor}
	if a := c.Authentication; a != nil {
		d.ACR, d.AMR = a.ACR, a.AMR
		if !a.AuthTime.IsZero() {
			d.AuthTime = new(a.AuthTime.Unix())
		}
	}
	return d
}
