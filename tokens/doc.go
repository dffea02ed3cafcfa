// Package tokens issues and verifies the two kinds of JWT that a session is
// used through: short-lived access tokens (RFC 9068) and refresh tokens.
//
// A token names a row, its generation and its session; it carries no session
// data. What the package promises:
//
//   - The algorithm comes from the key, never from the token's header; a key
//     has one algorithm (RFC 8725 §3.1). The header fields jku, jwk, x5u and
//     x5c are ignored, kid only selects a key of the ring, crit is refused.
//   - A token of the wrong kind, issuer or audience, or without one of its
//     claims, is refused; zero claims come with every error.
//   - Signing equal claims with an HMAC or Ed25519 key gives equal tokens.
//   - What can be used to impersonate somebody is a [Secret], which no log,
//     error or JSON document shows.
//
// The package is pure: no database, no HTTP, no goroutines.
package tokens
