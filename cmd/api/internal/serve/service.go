package serve

import (
	"cmp"
	"log/slog"
	"net"
	"os"
	"slices"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/trail"
	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/internal/secretfile"
	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// service is a running service: two listeners on one database.
type service struct {
	*settings.Serve
	version          string
	environment      *settings.Environment
	readAgain        <-chan os.Signal
	log              *slog.Logger
	traces           traces
	trail            trail.Trail
	clients          settings.Clients
	endpoints        []events.Endpoint
	eventsFiles      []string // with the endpoints' secrets
	public, internal net.Listener
	// away are the shards, as copies of their list have them, where the first does not answer as the service starts.
	away []shards.Entry
}

// identity is what the service signs and seals with, and the keys of its callers.
type identity struct {
	ring *tokens.KeyRing // nil for keys in PostgreSQL
	// jwks are the keys that PostgreSQL takes over, if it has none.
	jwks        tokens.Secret
	serviceKeys settings.ServiceKeys
	// serviceKeysFile is the file of the service keys, if they are in one.
	serviceKeysFile string
	// sealer seals session data; nil for none.
	sealer sessionstore.Sealer
}

// identify reads the keys from where the settings say or, if they do not, from the generated files.
func (s *service) identify(madeSigningKeys, madeServiceKey string) (identity, error) {
	id := identity{serviceKeys: s.ServiceKeys}
	var err error
	signingFile := cmp.Or(string(s.SigningKeysFile), madeSigningKeys)
	if len(s.KeyEncryptionKey) == 0 {
		_, id.ring, err = settings.ReadSigningKeys(signingFile)
	} else if signingFile != "" {
		id.jwks, _, err = settings.ReadSigningKeys(signingFile)
	}
	if err == nil && len(id.serviceKeys) == 0 {
		id.serviceKeysFile = cmp.Or(string(s.ServiceKeysFile), madeServiceKey)
		id.serviceKeys, err = settings.ReadServiceKeys(id.serviceKeysFile)
	}
	if err == nil {
		id.sealer, err = s.Sealer()
	}
	if id.ring != nil {
		if hint := settings.OtherAlgorithm(id.ring, string(s.KeyAlgorithm), signingFile); hint != "" {
			s.log.Warn("a setting has no effect", "reason", hint)
		}
	}
	files := slices.Concat(s.environment.SecretFiles(), s.eventsFiles, []string{signingFile, id.serviceKeysFile, string(s.DataEncryptionKeysetFile)})
	secretfile.WarnOfReadable(s.log, files...)
	return id, err
}

// publicURL is the URL at which clients reach the public listener.
func (s *service) publicURL() string {
	return cmp.Or(string(s.Issuer), baseURL(s.public, string(s.PublicAddr)))
}
