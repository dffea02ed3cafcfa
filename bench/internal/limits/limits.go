// Package limits has the smallest servers that could answer a refresh: what they cost is what HTTP and a signature check
// cost at the least, whoever does them.
package limits

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/child"
)

// Argument makes this program a server of limits instead, as its only argument: it has to be a process of its own, as
// the service is.
const Argument = "limit-server"

// Paths of the server's handlers.
const (
	EdDSA = "/eddsa"
	HS256 = "/hs256"
)

// keys are handed to the server on its standard input.
type keys struct {
	Public []byte `json:"public"`
	Key    []byte `json:"key"`
	// Answer is what is answered each time.
	Answer []byte `json:"answer"`
}

// addresses are what the server writes on its standard output.
type addresses struct {
	Bare string `json:"bare"`
	Chi  string `json:"chi"`
}

// Server is a server of limits in a process of its own.
type Server struct {
	// Bare is the address of a handler that does nothing but answer; Chi that of a chi router, on which EdDSA and HS256
	// check the signature of a form's refresh_token with golang-jwt.
	Bare, Chi string
	// Tokens are one for each path.
	Tokens map[string]string

	*child.Process
}

// Start runs this program as a server that answers with so many bytes, and makes tokens with the given claims for it.
func Start(ctx context.Context, answer []byte, claims jwt.Claims) (*Server, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	s := &Server{Tokens: make(map[string]string)}
	for path, key := range map[string]struct {
		method jwt.SigningMethod
		key    any
	}{EdDSA: {jwt.SigningMethodEdDSA, private}, HS256: {jwt.SigningMethodHS256, secret}} {
		if s.Tokens[path], err = jwt.NewWithClaims(key.method, claims).SignedString(key.key); err != nil {
			return nil, err
		}
	}

	var at addresses
	if s.Process, err = child.Start(ctx, Argument, keys{Public: public, Key: secret, Answer: answer}, &at); err != nil {
		return nil, err
	}
	s.Bare, s.Chi = at.Bare, at.Chi

	return s, nil
}

// Serve is the process of a [Server].
func Serve() error {
	return child.Serve(func(k keys) (at addresses, err error) {
		if at.Bare, err = child.Listen(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, k.Answer) })); err != nil {
			return at, err
		}
		at.Chi, err = child.Listen(routes(k))
		return at, err
	})
}

func routes(k keys) *chi.Mux {
	r := chi.NewRouter()
	for path, check := range map[string]struct {
		method string
		key    any
	}{EdDSA: {"EdDSA", ed25519.PublicKey(k.Public)}, HS256: {"HS256", k.Key}} {
		parser := jwt.NewParser(jwt.WithValidMethods([]string{check.method}), jwt.WithExpirationRequired())
		key := func(*jwt.Token) (any, error) { return check.key, nil } //nolint:unparam // the parser's type
		r.Post(path, func(w http.ResponseWriter, r *http.Request) {
			if _, err := parser.ParseWithClaims(r.PostFormValue("refresh_token"), &jwt.RegisteredClaims{}, key); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			answer(w, k.Answer)
		})
	}

	return r
}

func answer(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client has gone away
}
