package httpapi

import (
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// newContext is what a creation says about how the user authenticated, and who acts
// for them.
type newContext struct {
	AuthTime *int64    `json:"auth_time"`
	ACR      *string   `json:"acr"`
	AMR      *[]string `json:"amr"`
	Actor    *newActor `json:"act"`
}

// newActor is a [tokens.Actor] that distinguishes an empty issuer from none.
type newActor struct {
	Subject string    `json:"sub"`
	Issuer  *string   `json:"iss"`
	Actor   *newActor `json:"act"`
}

func (n *newActor) actor(pointer string) (*tokens.Actor, error) {
	if n == nil {
		return nil, nil
	}
	actor := &tokens.Actor{Subject: n.Subject}
	if n.Issuer != nil {
		if *n.Issuer == "" {
			return nil, invalidMember(pointer+"/iss", "It is empty. Leave it out if it is this service.")
		}
		actor.Issuer = *n.Issuer
	}
	var err error
	actor.Actor, err = n.Actor.actor(pointer + "/act")
	return actor, err
}

func (n newContext) addTo(params *sessionstore.CreateParams) error {
	var err error
	if params.Actor, err = n.Actor.actor("/act"); err != nil {
		return err
	}
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

// contextDocument is the same in responses.
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
