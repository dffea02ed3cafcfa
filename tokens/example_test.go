package tokens_test

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

func Example() {
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		panic(err)
	}
	keys, err := tokens.AppendKey("", jwk) // a private JWK set, as LATCHKEY_SIGNING_KEYS_FILE holds it
	if err != nil {
		panic(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(keys))
	if err != nil {
		panic(err)
	}
	cfg := tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com"}
	signer, err := tokens.NewSigner(ring, cfg)
	if err != nil {
		panic(err)
	}
	verifier, err := tokens.NewVerifier(ring, cfg)
	if err != nil {
		panic(err)
	}

	now := time.Now()
	token, err := signer.Sign(tokens.Claims{
		Type: tokens.AccessToken, Subject: "ann", SessionID: uuid.New(), TokenID: uuid.New(),
		IssuedAt: now, ExpiresAt: now.Add(5 * time.Minute),
	})
	if err != nil {
		panic(err)
	}
	claims, err := verifier.Verify(string(token), tokens.AccessToken)
	fmt.Println(claims.Subject, err)
	_, err = verifier.Verify(string(token), tokens.RefreshToken)
	fmt.Println(err)
	fmt.Println(token)
	// Output:
	// ann <nil>
	// token is not valid: the wrong type of token
	// [redacted]
}
