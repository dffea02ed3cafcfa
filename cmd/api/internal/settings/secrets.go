package settings

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"net/url"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/dataseal"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// The Standard Webhooks specification's bounds for a secret.
	minWebhookSecret, maxWebhookSecret = 24, 64

	sealingKeysForm   = "32 random bytes in base64, such as `openssl rand -base64 32` prints, or several of these, separated by commas: the first seals, all open"
	webhookSecretForm = "whsec_ followed by 24 to 64 random bytes in base64, as `echo whsec_$(openssl rand -base64 32)` makes it"
)

// private is a LATCHKEY_DATABASE_URL that requests the private database.
const private = "private"

// databaseURL is where PostgreSQL is. It may hold a password.
type databaseURL string

// Decode accepts what libpq would and, where allowed, the word for a private database.
func (d *databaseURL) Decode(ctx *kong.DecodeContext) error {
	return decodeSecret(ctx, func(text string) (is, may string) {
		may = "a libpq URL such as postgres://user:password@host:5432/database?sslmode=verify-full"
		mayBePrivate := ctx.Value.Name == "database-url"
		if mayBePrivate {
			may += ", or private for a database below LATCHKEY_VAR_DIR"
		}
		text = strings.TrimSpace(text) // the line break at a file's end, as $(cat …) in YAML keeps it
		if text == "" {                // pgx would take it for some server on this machine, and we for the private database
			return "empty", may
		}
		if _, err := pgxpool.ParseConfig(text); err != nil && (text != private || !mayBePrivate) {
			return unusable(err), may
		}
		*d = databaseURL(text)
		return "", ""
	})
}

// unusable says what is wrong with an address, without the address: pgx hides a password only where it finds one.
func unusable(err error) string {
	const is = "not an address of a PostgreSQL database"
	wrong, ok := errors.AsType[*pgconn.ParseConfigError](err)
	if !ok {
		return is
	}
	_, reason, found := strings.Cut(wrong.Error(), "`: ")
	if !found {
		return is
	}
	if _, isFile := errors.AsType[*fs.PathError](err); isFile || strings.HasPrefix(reason, "failed to read service") {
		return "an address that names an unreadable file (" + reason + ")"
	}
	return is + " (" + reason + ")"
}

func (d databaseURL) String() string { return "[redacted]" }

// webhookURL is where reports are sent. It may hold a password.
type webhookURL string

// Decode reads an https URL. Plain http is accepted only for this machine: a report names a
// user.
func (w *webhookURL) Decode(ctx *kong.DecodeContext) error {
	return decodeUsable(ctx, w, isWebhookURL, "not an address that reports can be sent to", webhookURLForm)
}

func (w webhookURL) String() string { return "[redacted]" }

// webhookSecret is what deliveries are signed with.
type webhookSecret tokens.Secret

// Decode reads a secret of the Standard Webhooks kind.
func (w *webhookSecret) Decode(ctx *kong.DecodeContext) error {
	return decodeUsable(ctx, w, isWebhookSecret, "not usable", webhookSecretForm)
}

func (w webhookSecret) String() string { return tokens.Secret(w).String() }

// sealingKeys are the keys that seal signing keys in PostgreSQL.
type sealingKeys [][]byte

// Decode reads the keys. It never reveals one.
func (k *sealingKeys) Decode(ctx *kong.DecodeContext) error {
	return decodeSecret(ctx, func(text string) (is, may string) {
		var keys sealingKeys
		for part := range strings.SplitSeq(text, ",") {
			key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(part))
			if err != nil || len(key) != tokens.SealingKeyBytes {
				return "not usable", sealingKeysForm
			}
			keys = append(keys, key)
		}
		*k = keys
		return "", ""
	})
}

func (k sealingKeys) String() string {
	if len(k) == 0 {
		return ""
	}
	return tokens.Secret("").String()
}

// compasKey is the signingKey of a Compas application.
type compasKey tokens.Secret

// Decode accepts any text that Compas would.
func (k *compasKey) Decode(ctx *kong.DecodeContext) error {
	isUsable := func(text string) bool { return tokens.CheckCompasKey(tokens.Secret(text)) == nil }
	return decodeUsable(ctx, k, isUsable, "not usable", "the signingKey that your Compas application used, of 20 characters or more")
}

func (k compasKey) String() string { return tokens.Secret(k).String() }

const webhookURLForm = "an https URL such as https://alerts.example.com/latchkey (or http://localhost:9000 for this machine only)"

// isWebhookURL accepts plain http only for this machine: what is sent names a user.
func isWebhookURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()))
}

// isWebhookSecret accepts a Standard Webhooks secret.
func isWebhookSecret(text string) bool {
	encoded, found := strings.CutPrefix(text, "whsec_")
	secret, err := base64.StdEncoding.DecodeString(encoded)
	return found && err == nil && len(secret) >= minWebhookSecret && len(secret) <= maxWebhookSecret
}

const dataKeysetForm = "a keyset as `api data keys generate` makes one: Tink's JSON, not encrypted, with keys for XAES-256-GCM or AES-256-GCM"

// dataKeyset is what session data is sealed with.
type dataKeyset struct{ *dataseal.Keyset }

// Decode reads a keyset. It never reveals one.
func (k *dataKeyset) Decode(ctx *kong.DecodeContext) error {
	return decodeSecret(ctx, func(text string) (is, may string) {
		keys, err := dataseal.ParseKeyset([]byte(text))
		if err != nil {
			return "not usable", dataKeysetForm
		}
		k.Keyset = keys
		return "", ""
	})
}
