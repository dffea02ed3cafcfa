// Package tokens issues and verifies the two kinds of JWT that give access to
// a session: short-lived access tokens (RFC 9068) and refresh tokens.
//
//	package main
//
//	import (
//		"fmt"
//		"log"
//		"time"
//
//		"github.com/google/uuid"
//
//		"github.com/latchkey-sessions/latchkey/tokens"
//	)
//
//	func main() {
//		jwk, _, err := tokens.GenerateKey("ES256")
//		if err != nil {
//			log.Fatal(err)
//		}
//		ring := must(tokens.ParseKeyRing([]byte(must(tokens.AppendKey("", jwk)))))
//		cfg := tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com"}
//		now := time.Now()
//		token := must(must(tokens.NewSigner(ring, cfg)).Sign(tokens.Claims{
//			Type: tokens.AccessToken, Subject: "ann", TokenID: uuid.New(), SessionID: uuid.New(),
//			IssuedAt: now, ExpiresAt: now.Add(5 * time.Minute),
//		}))
//		claims := must(must(tokens.NewVerifier(ring, cfg)).Verify(string(token), tokens.AccessToken))
//		fmt.Println(claims.Subject, string(ring.PublicJWKS()))
//	}
//
//	func must[T any](value T, err error) T {
//		if err != nil {
//			log.Fatal(err)
//		}
//		return value
//	}
//
// A token names a row, its generation and its session; it carries no session
// data. The package promises:
//
//   - The algorithm comes from the key, never from the token's header; a key
//     has one algorithm (RFC 8725 §3.1). A token is refused unless its header is
//     byte for byte what a key of the ring writes: jku, jwk, x5u, x5c and
//     crit are never read.
//
//   - Access tokens are signed with the ring's key, so that anyone can verify them.
//     Refresh tokens, which only their issuer reads, are authenticated with a
//     secret derived from it.
//
//   - A token of the wrong kind, issuer or audience, or without one of its
//     claims, is refused; zero claims come with every error.
//
//   - Signing equal claims with an HMAC or Ed25519 key gives equal tokens.
//
//   - Everything that can be used to impersonate someone is a [Secret], which no log,
//     error or JSON document reveals.
//
//   - Verified tokens are cached, which does not change when they are refused:
//     when they expire, or when their key leaves the ring.
//
// golang-jwt makes and checks the signatures, except that signing with ES256, which must be
// deterministic here, is ours. Its parser reads a token only after
// the token's length, form and header have been checked.
//
// The package is pure: no database, no HTTP.
package tokens
