package main

import (
	"github.com/alecthomas/kong"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// compasKey is the signingKey of a Compas application.
type compasKey tokens.Secret

// Decode reads any text that Compas would take.
func (k *compasKey) Decode(ctx *kong.DecodeContext) error {
	return decodeSecret(ctx, func(text string) (is, may string) {
		if tokens.CheckCompasKey(tokens.Secret(text)) != nil {
			return "not usable", "the signingKey that your Compas application used, of 20 characters or more"
		}
		*k = compasKey(text)
		return "", ""
	})
}

func (k compasKey) String() string { return tokens.Secret(k).String() }
