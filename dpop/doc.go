// Package dpop checks proofs of possession (RFC 9449, "DPoP"): a client signs
// each request with its own key, and a token that is bound to that key is useless to anyone else.
//
//	package main
//
//	import (
//		"fmt"
//		"log"
//		"net/http"
//
//		"github.com/latchkey-sessions/latchkey/dpop"
//	)
//
//	func main() {
//		checker := must(dpop.New(dpop.Config{BaseURL: "https://api.example.com"}))
//		http.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
//			proof, err := checker.CheckRequest(r)
//			if err == nil && proof != nil {
//				err = checker.Spend(*proof)
//			}
//			if err != nil || proof == nil {
//				w.Header().Set("WWW-Authenticate", dpop.Challenge("", dpop.CodeInvalidProof))
//				http.Error(w, "a proof is wanted", http.StatusUnauthorized)
//				return
//			}
//			fmt.Fprintln(w, "the key is", proof.Thumbprint) // a session is bound to it by CreateParams.KeyThumbprint
//		})
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
// A proof that a [Checker] accepts meets all of RFC 9449 §4.3: it is
// one JWS of type dpop+jwt, signed with an asymmetric algorithm by the public key
// that it carries; it is for this method, this URL and this access token; it was
// made just now; it has a nonce of this service, if one is required; and it
// was not seen here before.
//
// One thing is not promised: each process remembers only the proofs that it has
// seen. If several replicas share one address, an intercepted proof can be sent
// once to each of the others while it is fresh. It is valid only for the
// request that it was made for, with the token whose hash it has. Nonces
// shorten that time, and refuse proofs that were made in advance; they do not
// eliminate it.
//
// The package uses no database and starts no goroutine. From net/http it uses only the
// types of requests and headers.
package dpop
