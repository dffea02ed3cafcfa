// Package httpapi serves the HTTP contract on two listeners: a public one for
// browsers and apps, and an internal one for the caller's own backends, which
// needs a service key.
//
//	package main
//
//	import (
//		"context"
//		"log"
//		"net/http"
//		"os"
//
//		"github.com/jackc/pgx/v5/pgxpool"
//
//		"github.com/latchkey-sessions/latchkey/httpapi"
//		"github.com/latchkey-sessions/latchkey/migrations"
//		"github.com/latchkey-sessions/latchkey/sessionstore"
//		"github.com/latchkey-sessions/latchkey/tokens"
//	)
//
//	func main() {
//		ctx := context.Background()
//		pool := must(pgxpool.New(ctx, os.Getenv("LATCHKEY_DATABASE_URL")))
//		must(migrations.Up(ctx, pool))
//		keys := must(tokens.ParseKeyRing(must(os.ReadFile("var/signing-keys.json")))) // made by: api keys init
//		const issuer = "http://localhost:8090/auth"
//		store := must(sessionstore.New(pool, keys, sessionstore.Config{Tokens: tokens.Config{Issuer: issuer, Audience: "shop"}}))
//		go func() { log.Fatal(store.Run(ctx)) }() // records which tokens are in use, so that a stolen one is noticed
//
//		server := must(httpapi.New(store, keys, httpapi.Config{
//			Issuer:      issuer,
//			ServiceKeys: []httpapi.ServiceKey{{Name: "gateway", Secret: tokens.Secret(os.Getenv("GATEWAY_KEY"))}}, // of 32 characters or more
//		}))
//		http.Handle("/auth/", http.StripPrefix("/auth", server.Public())) // server.Internal() goes where only backends come
//		log.Fatal(http.ListenAndServe("localhost:8090", nil))
//	}
//
//	func must[T any](value T, err error) T {
//		if err != nil {
//			log.Fatal(err)
//		}
//		return value
//	}
//
// The package promises:
//
//   - Neither listener serves a route of the other, except for routes that reveal nothing
//     about sessions: openapi.yaml describes both, and each serves its own half of it.
//   - Every failure that a handler, a middleware or the router meets is a
//     problem document (RFC 9457), or RFC 6749's error below /oauth2/. Its text
//     is never made from an internal error.
//   - A database outage is 503 with Retry-After, never 401.
//   - Every body, header, list and wait is bounded.
//   - The log has route patterns and an allow-list of fields: no path, query,
//     token, key or data.
package httpapi
