// Package audit records who created, updated and ended which session: one
// JSON object per line, apart from the log of requests.
//
//	package main
//
//	import (
//		"context"
//		"log"
//		"os"
//
//		"github.com/jackc/pgx/v5/pgxpool"
//
//		"github.com/latchkey-sessions/latchkey/audit"
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
//		trail := must(audit.New(audit.Config{Output: os.Stdout, Origin: httpapi.Origin}))
//		running, end := context.WithCancel(ctx)
//		ended := make(chan error)
//		go func() { ended <- trail.Run(running) }()
//
//		store := must(sessionstore.New(pool, keys, sessionstore.Config{
//			Tokens:    tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com"},
//			Observers: []sessionstore.Observer{trail.Sessions()},
//		}))
//		if _, _, err := store.Create(ctx, sessionstore.CreateParams{Subject: "ann"}); err != nil {
//			log.Fatal(err)
//		}
//		end()
//		must(0, <-ended) // what was left is written
//	}
//
//	func must[T any](value T, err error) T {
//		if err != nil {
//			log.Fatal(err)
//		}
//		return value
//	}
//
// It promises that an event reports something that has happened, after its
// commit; that no event contains a token, key or session data; and that no request waits
// for the stream to be written. Events that could not be written are counted and
// logged. docs/audit.md describes the events, docs/audit.schema.json defines them.
//
// The actor is what [WithOrigin] put into the context or, with httpapi.Origin,
// the sender of the request.
package audit
