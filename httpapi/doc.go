// Package httpapi serves the HTTP contract on two listeners: a public one for
// browsers and apps, and an internal one for the caller's own backends, which
// needs a service key. What the package promises:
//
//   - Neither listener serves a route of the other, but for what tells of no
//     session: openapi.yaml describes both, and each serves its own half of it.
//   - Every failure that a handler, a middleware or the router meets is a
//     problem document (RFC 9457), or RFC 6749's error below /oauth2/. What a
//     client reads is never made from an internal error.
//   - A database that cannot be asked is 503 with Retry-After, never 401.
//   - Every body, header, list and wait is bounded.
//   - The log has route patterns and an allow-list of fields: no path, query,
//     token, key or data.
package httpapi
