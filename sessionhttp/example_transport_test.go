package sessionhttp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// formToken is a transport for clients that can set no header: the access token is a field of the form
// that they send (RFC 6750 §2.2), and answers have tokens in their body, which is the handler's.
type formToken struct{}

func (formToken) Read(r *http.Request) (sessionhttp.Presented, error) {
	token := r.PostFormValue("access_token")
	if token == "" {
		return sessionhttp.Presented{}, sessionhttp.ErrNoToken
	}
	return sessionhttp.Presented{Scheme: "Bearer", Access: tokens.Secret(token)}, nil
}

func (formToken) Write(http.Header, sessionstore.TokenPair) {}

func (formToken) Clear(http.Header) {}

func (formToken) Ambient() bool { return false }

// A transport of the program's own.
func ExampleTransport() {
	ctx := context.Background()
	pool, done := testdb.ForExample() // your own *pgxpool.Pool, after migrations.Up
	defer done()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		panic(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		panic(err)
	}
	store, err := sessionstore.New(pool, ring, sessionstore.Config{
		Tokens: tokens.Config{Issuer: "https://shop.example.com", Audience: "shop"},
	})
	if err != nil {
		panic(err)
	}

	type basket struct {
		Items []string `json:"items"`
	}
	sessions := sessionhttp.New[basket](store, sessionhttp.Config{Transport: formToken{}})
	_, pair, err := sessions.Create(ctx, basket{Items: []string{"tea"}}, sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		panic(err)
	}
	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(w, sessions.From(r.Context()).Read().Items)
	}))
	for _, token := range []string{string(pair.AccessToken), "nonsense"} {
		form := url.Values{"access_token": {token}}
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/basket", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 [tea]
	// 401 Unauthorized
}
