// Package client calls the internal listener of a Latchkey service, for backends that run
// Latchkey as a separate service instead of embedding package sessionstore.
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
// [Client] has a method for each operation of the listener. Their parameters and results are generated
// from httpapi/openapi.yaml, so that they match the service. Session data and claims are
// the caller's own JSON: [Get], [Decode], [Update] and [UpdateClaims] decode them into a type.
//
// # Errors
//
// A refusal of the service is an [*Error], with the status, the code of httpapi/problems.md and
// the id of the request. Test for the states of a session with [errors.Is]:
//
//	session, err := sessions.Session(ctx, id)
//	switch {
//	case errors.Is(err, client.ErrNotFound): // there is no such session
//	case errors.Is(err, client.ErrUnavailable): // nothing is known: answer with 503
//	}
//
// No error contains the service key or a token. A [Secret] is not printed, so that values with
// tokens can be logged.
//
// # Retries
//
// A call that failed with 503, or got no response, is repeated automatically if that is
// safe: calls that read or end something, changes of lifetimes, and creations, each of which
// has an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header). A random pause follows each
// attempt, twice as long each time, and not shorter than the response's Retry-After.
// Nothing is sent once the context has ended, and no pause begins that would outlast it.
//
// A replacement of data or claims is repeated only if there was no connection: after a lost
// response, the stored version might no longer be the one that the caller has read. The same applies to an
// introspection with a proof of possession, which is accepted only once.
package client

//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config oapi-codegen.yaml -o types.gen.go ../httpapi/openapi.yaml
