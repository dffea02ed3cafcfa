// Package population fills databases with sessions, and knows of some of them what their clients would: their tokens.
package population

import (
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// Issuer is the tokens' issuer.
	Issuer = "http://localhost:8080"
	// AccessTokenTTL lets access tokens outlive the benchmark.
	AccessTokenTTL = 12 * time.Hour

	// Data is a session's data.
	Data = `{"cart":[{"sku":"A-1041","quantity":2},{"sku":"C-0007","quantity":1}],"locale":"en-GB","theme":"dark"}`
	// OtherData is what updates change it to.
	OtherData = `{"cart":[{"sku":"A-1041","quantity":3},{"sku":"C-0007","quantity":1}],"locale":"en-GB","theme":"dark"}`
)

// Client is who creates and refreshes sessions.
func Client() sessionstore.Client {
	return sessionstore.Client{UserAgent: load.UserAgent, IP: "127.0.0.1"}
}

// Identity is what the packages and the service have in common, so that each takes the other's tokens.
type Identity struct {
	// Keys is the private JWK set.
	Keys  tokens.Secret
	Ring  *tokens.KeyRing
	Store sessionstore.Config
}

// NewIdentity makes the key that the service makes by default.
func NewIdentity() Identity {
	key, _, err := tokens.GenerateKey("EdDSA")
	must.Do(err)
	keys := must.Get(tokens.PrependKey("", key))
	ring := must.Get(tokens.ParseKeyRing([]byte(keys)))
	return Identity{Keys: keys, Ring: ring, Store: sessionstore.Config{
		Tokens:    tokens.Config{Issuer: Issuer, Audience: "latchkey", ClientID: "latchkey"},
		Lifetimes: sessionstore.Lifetimes{AccessToken: AccessTokenTTL},
		// A pair may be rotated again at once: what is measured is rotations.
		Grace: time.Nanosecond,
	}}
}
