package servers

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// Paths of [Limits]. Bare does nothing but answer, before any router; the others check the signature of a form's
// refresh_token with golang-jwt.
const (
	Bare  = "/"
	EdDSA = "/eddsa"
	HS256 = "/hs256"
)

// Limits are the smallest handlers that could answer a refresh: their cost is the minimum for HTTP and a signature check,
// in any implementation.
type Limits struct {
	// Answer is what is answered each time.
	Answer string
	// Claims are those of the tokens that are made.
	Claims jwt.RegisteredClaims
}

func (l Limits) handler(_ context.Context, about *About) http.Handler {
	router := chi.NewRouter()
	about.Tokens = make(map[string]string)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must.Do(err)
	secret := []byte(rand.Text() + rand.Text())
	for path, keys := range map[string]struct {
		method       jwt.SigningMethod
		sign, verify any
	}{EdDSA: {jwt.SigningMethodEdDSA, private, public}, HS256: {jwt.SigningMethodHS256, secret, secret}} {
		about.Tokens[path] = must.Get(jwt.NewWithClaims(keys.method, l.Claims).SignedString(keys.sign))
		token := func(r *http.Request) string { return r.PostFormValue("refresh_token") }
		router.Post(path, checked(keys.method, keys.verify, token, l.Answer))
	}
	about.Tokens[Bare] = about.Tokens[EdDSA]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == Bare {
			answer(w, l.Answer)
			return
		}
		router.ServeHTTP(w, r)
	})
}

// checked answers those who bring a token with a good signature.
func checked(method jwt.SigningMethod, key any, token func(*http.Request) string, body string) http.HandlerFunc {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{method.Alg()}), jwt.WithExpirationRequired())
	keyOf := func(*jwt.Token) (any, error) { return key, nil } //nolint:unparam // the parser's type
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := parser.ParseWithClaims(token(r), &jwt.RegisteredClaims{}, keyOf); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		answer(w, body)
	}
}

// Paths of [Edge]. All answer the same.
const (
	Open     = "/open"
	JWT      = "/golang-jwt"
	Verified = "/verified"
)

// Edge is a resource server that accepts access tokens in three ways: unseen, by golang-jwt's signature check alone, and
// by package verifier, which follows the service's revocations.
type Edge struct {
	// Issuer and Audience are the tokens'.
	Issuer, Audience string
	// Public and Internal are the addresses of the service's listeners.
	Public, Internal string
	ServiceKey       string
	// Keys is the JWK set of the public keys, of which golang-jwt uses the first: Ed25519.
	Keys json.RawMessage
}

func (e Edge) handler(ctx context.Context, _ *About) http.Handler {
	v := must.Get(verifier.NewRemote(verifier.RemoteConfig{
		Tokens: tokens.Config{Issuer: e.Issuer, Audience: e.Audience}, Internal: "http://" + e.Internal, ServiceKey: tokens.Secret(e.ServiceKey),
		Keys: "http://" + e.Public + "/.well-known/jwks.json",
	}, verifier.Config{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}))
	go func() { _ = v.Run(ctx) }() // until the process ends
	var keys jose.JSONWebKeySet
	must.Do(json.Unmarshal(e.Keys, &keys))

	const body = `{"orders":[]}`
	orders := func(w http.ResponseWriter, _ *http.Request) { answer(w, body) }
	token := func(r *http.Request) string { return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") }
	router := chi.NewRouter()
	router.Get(Open, orders)
	router.Get(JWT, checked(jwt.SigningMethodEdDSA, keys.Keys[0].Key, token, body))
	router.With(v.Handler).Get(Verified, orders)
	return router
}
