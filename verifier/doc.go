// Package verifier accepts access tokens without asking a database, and stops
// accepting those of a revoked session within a bound, by default one second.
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
//		"github.com/latchkey-sessions/latchkey/tokens"
//		"github.com/latchkey-sessions/latchkey/verifier"
//	)
//
//	func main() {
//		v := must(verifier.NewRemote(verifier.RemoteConfig{
//			Tokens:     tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com"},
//			Internal:   "http://latchkey.internal:8081",
//			ServiceKey: tokens.Secret(os.Getenv("LATCHKEY_SERVICE_KEY")),
//		}, verifier.Config{}))
//		go func() { log.Fatal(v.Run(context.Background())) }() // follows the revocations
//
//		http.Handle("/orders", v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
//			claims, _ := verifier.FromContext(r.Context())
//			fmt.Fprintln(w, "the orders of", claims.Subject)
//		})))
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
// It checks a token's signature and claims (package tokens), and then looks up its
// session in a small set of revoked sessions that it keeps in memory. It
// promises:
//
//   - A token whose session was revoked longer ago than [Config].Bound is not
//     accepted, whatever fails meanwhile: the feed, the network, the database,
//     this process (stopped and continued), its clock.
//   - It never guesses. If the set cannot be proven to be complete, the
//     verifier asks the service about the token; if that fails too, the error
//     is [ErrUnavailable], which says nothing about the token.
//   - Nothing is accepted from the set before it was loaded once.
//
// # Proof of freshness
//
// A [Source] keeps asking for revocations. The response to a request made at
// time t makes the set complete up to t: that is the proof, and
// its age is what counts. The age is read on two clocks, see [Moment].
//
// # Sources
//
// The source of sessionstore.Store.Verifier reads the database, for programs that use it anyway.
// [NewRemote] follows the service's feed over HTTP, for all other programs.
package verifier
