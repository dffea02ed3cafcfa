package websockets_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// setup has a store with a session, and the session's access token.
func setup(t *testing.T) (*sessionstore.Store, uuid.UUID, string) {
	t.Helper()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	store, err := sessionstore.New(testdb.Pool(t), ring, sessionstore.Config{
		Tokens: tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	session, pair, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	return store, session.ID, string(pair.AccessToken)
}
