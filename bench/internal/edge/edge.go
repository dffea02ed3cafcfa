// Package edge is a resource server that accepts access tokens in three ways: unseen, by golang-jwt's signature check
// alone, and by package verifier, which follows the service's revocations.
package edge

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/child"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// Argument makes this program such a server, as its only argument.
const Argument = "edge-server"

// Paths of the server's handlers. All answer the same.
const (
	Open     = "/open"
	JWT      = "/golang-jwt"
	Verified = "/verified"
)

// Config says whose tokens are accepted.
type Config struct {
	Issuer   string `json:"issuer"`
	Audience string `json:"audience"`
	// Public and Internal are the addresses of the service's listeners.
	Public     string `json:"public"`
	Internal   string `json:"internal"`
	ServiceKey string `json:"service_key"`
	// Keys is the JWK set of the public keys, of which golang-jwt uses the first: Ed25519.
	Keys json.RawMessage `json:"keys"`
}

// Server is such a server in a process of its own.
type Server struct {
	*child.Process

	// Address is where it listens.
	Address string
}

// Start runs one.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	s := new(Server)
	var err error
	s.Process, err = child.Start(ctx, Argument, cfg, &s.Address)

	return s, err
}

// Serve is the process of a [Server].
func Serve() error {
	return child.Serve(func(cfg Config) (string, error) {
		v, err := verifier.NewRemote(verifier.RemoteConfig{
			Tokens:   tokens.Config{Issuer: cfg.Issuer, Audience: cfg.Audience},
			Internal: "http://" + cfg.Internal, ServiceKey: tokens.Secret(cfg.ServiceKey),
			Keys: "http://" + cfg.Public + "/.well-known/jwks.json",
		}, verifier.Config{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
		if err != nil {
			return "", err
		}
		go func() { _ = v.Run(context.Background()) }() // until the process ends
		key, err := firstKey(cfg.Keys)
		if err != nil {
			return "", err
		}
		return child.Listen(routes(v, key))
	})
}

func routes(v *verifier.Verifier, key ed25519.PublicKey) *chi.Mux {
	r := chi.NewRouter()
	r.Get(Open, answer)
	r.With(bareCheck(key)).Get(JWT, answer)
	r.With(v.Handler).Get(Verified, answer)

	return r
}

func answer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"orders":[]}`)) // the client has gone away
}

func bareCheck(key ed25519.PublicKey) func(http.Handler) http.Handler {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithExpirationRequired())
	keyOf := func(*jwt.Token) (any, error) { return key, nil } //nolint:unparam // the parser's type
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if _, err := parser.ParseWithClaims(token, &jwt.RegisteredClaims{}, keyOf); err != nil {
				http.Error(w, err.Error(), http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func firstKey(jwks []byte) (ed25519.PublicKey, error) {
	var set struct {
		Keys []struct {
			X string `json:"x"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("no key")
	}
	key, err := base64.RawURLEncoding.DecodeString(set.Keys[0].X)
	if err == nil && len(key) != ed25519.PublicKeySize {
		err = errors.New("the key is not of Ed25519")
	}

	return key, err
}
