// Package tokens issues and verifies the two kinds of JWT that a session is
// used through: short-lived access tokens (RFC 9068) and refresh tokens.
//
// A token names a row, its generation and its session; it carries no session
// data. What the package promises:
//
//   - The algorithm comes from the key, never from the token's header; a key
//     has one algorithm (RFC 8725 §3.1). A token whose header is not to the byte
//     the one that a key of the ring writes is refused: jku, jwk, x5u, x5c and
//     crit are never read.
//
//   - Access tokens are signed with the ring's key, for anybody to verify.
//     Refresh tokens, which only their issuer reads, are authenticated under a
//     secret derived from it.
//
//   - A token of the wrong kind, issuer or audience, or without one of its
//     claims, is refused; zero claims come with every error.
//
//   - Signing equal claims with an HMAC or Ed25519 key gives equal tokens.
//
//   - What can be used to impersonate somebody is a [Secret], which no log,
//     error or JSON document shows.
//
//   - A token that was verified is remembered, and refused at the same instant
//     as if it were not: when it expires, or when its key leaves the ring.
//
// Signatures are made and checked by golang-jwt. Its parser reads a token only after
// its length, its form and its header have been looked at.
//
// The package is pure: no database, no HTTP.
package tokens
