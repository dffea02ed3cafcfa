// Package client calls the internal listener of a Latchkey service, for backends that run
// Latchkey beside them instead of embedding package sessionstore.
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//		"os"
//
//		"github.com/latchkey-sessions/latchkey/client"
//	)
//
//	type basket struct {
//		Items []string `json:"items"`
//	}
//
//	func main() {
//		ctx := context.Background()
//		sessions := must(client.New("http://127.0.0.1:8081", os.Getenv("SERVICE_KEY")))
//
//		created := must(sessions.CreateSession(ctx, client.NewSession{Subject: "ada", Data: client.Data(`{"items":[]}`)}))
//		changed := must(client.Update(ctx, sessions, created.Session.ID, func(b *basket) error {
//			b.Items = append(b.Items, "tea")
//			return nil
//		}))
//		fmt.Println(changed.Items)
//
//		for session, err := range sessions.Sessions(ctx, client.SessionFilter{Subject: "ada"}) {
//			if err != nil {
//				log.Fatal(err)
//			}
//			fmt.Println(session.ID, session.CreatedAt)
//		}
//	}
//
//	func must[T any](value T, err error) T {
//		if err != nil {
//			log.Fatal(err)
//		}
//		return value
//	}
//
// [Client] has a method for each operation of the listener. What they take and return is made
// from httpapi/openapi.yaml, so that it is what the service speaks. Session data and claims are
// JSON of the caller's own: [Get], [Decode], [Update] and [UpdateClaims] have them as a type.
//
// # Errors
//
// What the service refuses is an [*Error], with the status, the code of httpapi/problems.md and
// the id of the request. What it says of a session is tested for with [errors.Is]:
//
//	session, err := sessions.Session(ctx, id)
//	switch {
//	case errors.Is(err, client.ErrNotFound): // there is no such session
//	case errors.Is(err, client.ErrUnavailable): // nothing is known: answer with 503
//	}
//
// No error has the service key in it, nor a token. A [Secret] is not printed, so that what has
// tokens may be logged.
//
// # Retries
//
// A call that failed with 503, or was not answered, is made again by itself where that does no
// harm: all that read or end something, changes of lifetimes, and creations, each of which is
// known by an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header). A pause follows each
// attempt, at random, twice as long each time, and not shorter than the answer's Retry-After.
// Nothing is sent once the context has ended, and no pause begins that would outlast it.
//
// A replacement of data or claims is tried again only if there was no connection: after a lost
// answer, their version might no longer be the one that the caller has read. The same goes for an
// introspection with a proof of possession, which is accepted once.
package client

//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config oapi-codegen.yaml -o types.gen.go ../httpapi/openapi.yaml
