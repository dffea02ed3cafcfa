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
// [Session.Update], from as many goroutines as they like. It promises that a
// handler's success reaches the client only if its changes were stored.
//
// # When changes are stored
//
// Changes that are made before the response begins are stored together, right
// before its first byte. A conflict with another request is resolved: the data is read
// again and the changes are applied to it again. If they cannot be stored, an error is
// the response, without any header of the handler's.
//
// From then on each change is stored at once, and Update returns what came of it: in
// a stream of events, on a connection that was hijacked, in a goroutine that outlives
// its handler. [Session.Save] stores earlier.
//
// Nothing is stored with a response that says that the server failed (5xx), after a
// panic, wherever it is recovered, or once the time of the request was over before its
// response began. What was stored before stays. Everything else is
// stored: with a redirect, with a 4xx (failed attempts can be counted), and for a client
// that has left.
//
// What is stored is always what a whole number of Updates made of the data, and decodes: Update
// refuses at once what does not encode to an object, or could not be read again. A change that
// could not be stored is logged, and told to whoever can still be told.
//
// # Where the tokens are
//
// [Bearer] reads the access token from the Authorization header, [Header] from another one, and [Body]
// from a form; the client refreshes. With
// [Cookies] a browser holds nothing but cookies that no script can read, and the
// middleware refreshes by itself, in any number of parallel requests and replicas: the store's
// grace makes that safe, and cookies that are lost with their answer log nobody out.
// [Manager.Begin] logs in, [Manager.End] logs out, also where the session's data does not decode, and [Session.Renew] gives a session new
// tokens and a new id when its user gets more rights.
//
// New tokens are in whatever answers the request in the end: the handler's response, the error that
// takes its place, or what a recoverer or a time-out says, if it writes to the middleware's
// [http.ResponseWriter]. Where a login or a renewal and its whole answer are lost, the user logs in again: the
// session before has ended, and nothing leads from it to the new one. An answer to a session that
// a login in another tab has ended meanwhile sets no cookies. If the two answers cross on their way, the
// last one counts, and at worst the user logs in once more.
//
// Answers tell caches by Vary that they depend on the cookies, or on the header of [Header].
//
// A library for WebSockets that writes its own answer, such as gorilla's, is given the header of
// the middleware's ResponseWriter as the header of the answer: Upgrade(w, r, w.Header()).
//
// # Beside the middleware
//
// [Manager.Open] is the session of a request that does not come through the middleware,
// [Manager.Load] that of an id, [Manager.All] are all, and [Manager.Create] makes one. What is stored
// is then stored at once. With [Config].Anonymous a visitor has a session from their first
// change on.
package sessionhttp
