package main

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// The Standard Webhooks specification's bounds for a secret.
	minWebhookSecret, maxWebhookSecret = 24, 64

	webhookSecretForm = "whsec_ followed by 24 to 64 random bytes in base64, as `echo whsec_$(openssl rand -base64 32)` makes it"
)

// webhookURL is where reports go. It may hold a password.
type webhookURL string

// Decode reads an https URL. Plain http is taken for this machine only: a report names a user.
func (w *webhookURL) Decode(ctx *kong.DecodeContext) error {
	return decodeSecret(ctx, func(text string) (is, may string) {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
			return "not an address that reports can be sent to", "an https URL such as https://alerts.example.com/latchkey (or http://localhost:9000 for this machine only)"
		}
		*w = webhookURL(text)
		return "", ""
	})
}

func (w webhookURL) String() string { return "[redacted]" }

// webhookSecret is what deliveries are signed with.
type webhookSecret tokens.Secret

// Decode reads a secret of the Standard Webhooks kind.
func (w *webhookSecret) Decode(ctx *kong.DecodeContext) error {
	return decodeSecret(ctx, func(text string) (is, may string) {
		encoded, found := strings.CutPrefix(text, "whsec_")
		secret, err := base64.StdEncoding.DecodeString(encoded)
		if !found || err != nil || len(secret) < minWebhookSecret || len(secret) > maxWebhookSecret {
			return "not usable", webhookSecretForm
		}
		*w = webhookSecret(text)
		return "", ""
	})
}

func (w webhookSecret) String() string { return tokens.Secret(w).String() }
