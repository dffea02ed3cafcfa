package tokens

import (
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxActors     = 4
	maxActorText  = 255
	maxActorBytes = 1 << 10
)

// Actor is the party that acts for a session's subject (RFC 8693 §4.1): a member of the
// support staff, or a service. A session with one is an open impersonation.
type Actor struct {
	// Subject is the actor's own subject, up to 255 bytes. Required.
	Subject string `json:"sub"`
	// Issuer is the issuer that knows that subject, up to 255 bytes; empty for the tokens'
	// own issuer.
	Issuer string `json:"iss,omitzero"`
	// Actor is the previous actor in a chain of delegation. No decision about access
	// may depend on it. There may be 4 actors in all, which take up to 1024 bytes as
	// JSON.
	Actor *Actor `json:"act,omitzero"`
}

// check returns a [CustomError] for what a token must not say.
func (a *Actor) check() error {
	pointer := jsontext.Pointer("")
	for n := 1; a != nil; n, a = n+1, a.Actor {
		pointer += "/act"
		if n > maxActors {
			return customError(pointer, "more than %d actors", maxActors)
		}
		if a.Subject == "" {
			return customError(pointer+"/sub", "missing: an actor has a subject")
		}
		if !isActorText(a.Subject) {
			return customError(pointer+"/sub", wantedActorText, maxActorText)
		}
		if !isActorText(a.Issuer) {
			return customError(pointer+"/iss", wantedActorText, maxActorText)
		}
	}
	return nil
}

const wantedActorText = "not a string of up to %d bytes of UTF-8 without a NUL character"

func isActorText(s string) bool {
	return len(s) <= maxActorText && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}
