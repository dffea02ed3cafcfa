// Package sessionhttp is net/http middleware for Go programs that keep their
// sessions with package sessionstore on their own database pool.
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//		"net/http"
//		"os"
//
//		"github.com/jackc/pgx/v5/pgxpool"
//
//		"github.com/latchkey-sessions/latchkey/migrations"
//		"github.com/latchkey-sessions/latchkey/sessionhttp"
//		"github.com/latchkey-sessions/latchkey/sessionstore"
//		"github.com/latchkey-sessions/latchkey/tokens"
//	)
//
//	type visitor struct {
//		Visits int `json:"visits"`
//	}
//
//	func main() {
//		ctx := context.Background()
//		pool := must(pgxpool.New(ctx, os.Getenv("LATCHKEY_DATABASE_URL")))
//		must(migrations.Up(ctx, pool))
//		keys := must(tokens.ParseKeyRing(must(os.ReadFile("var/signing-keys.json")))) // made by: api keys init
//		store := must(sessionstore.New(pool, keys, sessionstore.Config{
//			Tokens: tokens.Config{Issuer: "https://shop.example.com", Audience: "shop"},
//		}))
//		go func() { log.Fatal(store.Run(ctx)) }() // records which tokens are in use, so that a stolen one is noticed
//
//		sessions := sessionhttp.New[visitor](store, sessionhttp.Config{})
//		http.Handle("/", sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
//			session := sessions.From(r.Context())
//			if err := session.Update(r.Context(), func(v *visitor) error { v.Visits++; return nil }); err != nil {
//				sessionhttp.Error(w, r, err)
//				return
//			}
//			fmt.Fprintf(w, "hello %s, visit %d\n", session.Info.Subject, session.Read().Visits)
//		})))
//		_, pair, err := store.Create(ctx, sessionstore.CreateParams{Subject: "ann"}) // at the login
//		if err != nil {
//			log.Fatal(err)
//		}
//		log.Printf(`try: curl -H "Authorization: Bearer %s" localhost:8090`, string(pair.AccessToken))
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
// For each request it loads the session of the access token and puts it into the
// context. Handlers read its typed data with [Session.Read] and change it with
// [Session.Update], from any number of goroutines. The middleware promises that a
// handler's success reaches the client only if its changes were stored.
//
// # Storing changes
//
// Changes made before the response begins are stored together, right
// before its first byte. A conflict with another request is resolved: the data is read
// again and the changes are applied to it again. If they cannot be stored, the response
// is an error, without any of the handler's headers.
//
// From then on each change is stored at once, and Update returns the outcome: in
// a stream of events, on a hijacked connection, in a goroutine that outlives
// its handler. [Session.Save] stores earlier.
//
// Nothing is stored with a response that reports a failure of the server (5xx), after a
// panic, wherever it is recovered, or if the request timed out before its
// response began. Earlier changes stay stored. Everything else is
// stored: with a redirect, with a 4xx (failed attempts can be counted), and for a client
// that has left.
//
// The stored data is always the result of a whole number of Updates, and can be decoded: Update
// at once refuses data that does not encode to an object, or could not be read again. A change that
// could not be stored is logged, and reported to every caller that is still waiting.
//
// # Tokens
//
// [Bearer] reads the access token from the Authorization header, [Header] from another one, and [Body]
// from a form; the client refreshes. With
// [Cookies] a browser holds only cookies that no script can read, and the
// middleware itself refreshes, in any number of parallel requests and replicas: the store's
// grace makes that safe, and cookies that are lost with their response log nobody out.
// [Manager.Begin] logs in, [Manager.End] logs out, even if the session's data does not decode, and [Session.Renew] gives a session new
// tokens and a new id when its user gets more rights.
//
// New tokens are in whichever response the request gets in the end: the handler's, the error that
// replaces it, or that of a recoverer or a time-out, if it writes to the middleware's
// [http.ResponseWriter]. If the response to a login or a renewal is lost, the user has to log in again: the
// previous session has ended, and nothing leads from it to the new one. If a login in another tab
// has ended the session meanwhile, the response sets no cookies. If the two responses cross, the
// last one counts, and at worst the user logs in once more.
//
// Responses have a Vary header, since they depend on the cookies, or on the header of [Header].
//
// A WebSocket library that writes its own response, such as gorilla's, needs the header of
// the middleware's ResponseWriter as the response's header: Upgrade(w, r, w.Header()).
//
// # Without the middleware
//
// [Manager.Open] opens the session of a request that does not pass through the middleware,
// [Manager.Load] loads a session by id, [Manager.All] iterates over all of them, and [Manager.Create] creates one. Changes
// are then stored at once. With [Config].Anonymous a visitor has a session from their first
// change on.
package sessionhttp
