package dpop_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/dpop"
)

// A login learns which key its client has, to create a session that is bound to it, and
// accepts each proof once.
func Example() {
	checker, err := dpop.New(dpop.Config{BaseURL: "https://api.example.com"})
	if err != nil {
		panic(err)
	}
	login := func(r *http.Request) (thumbprint string, err error) {
		proof, err := checker.CheckRequest(r)
		if err != nil || proof == nil { // nil: the client sent none
			return "", err
		}
		return proof.Thumbprint, checker.Spend(*proof) // for sessionstore.CreateParams.KeyThumbprint
	}

	// The client's steps: it signs method and URL with a key that never leaves it.
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		panic(err)
	}
	claims, err := json.Marshal(map[string]any{"jti": rand.Text(), "htm": "POST", "htu": "https://api.example.com/login", "iat": time.Now().Unix()})
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		panic(err)
	}
	proof, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}

	request := func(path string) *http.Request {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, path, http.NoBody)
		r.Header.Set(dpop.Header, proof)
		return r
	}
	_, err = login(request("/transfer"))
	fmt.Println("for another URL:", errors.Is(err, dpop.ErrInvalid))
	thumbprint, err := login(request("/login"))
	fmt.Println("for this one:", len(thumbprint), err)
	_, err = login(request("/login"))
	fmt.Println("a second time:", errors.Is(err, dpop.ErrReplayed))
	// Output:
	// for another URL: true
	// for this one: 43 <nil>
	// a second time: true
}
