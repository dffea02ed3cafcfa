// Package sessionstore keeps sessions and their token pairs in PostgreSQL.
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//		"os"
//
//		"github.com/jackc/pgx/v5/pgxpool"
//
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
//		store := must(sessionstore.New(pool, keys, sessionstore.Config{
//			Tokens: tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com"},
//		}))
//		go func() { log.Fatal(store.Run(ctx)) }() // records which tokens are in use, so that a stolen one is noticed
//
//		_, pair, err := store.Create(ctx, sessionstore.CreateParams{Subject: "ann", Data: []byte(`{"theme":"dark"}`)})
//		if err != nil {
//			log.Fatal(err)
//		}
//		refreshed := must(store.RefreshTokens(ctx, string(pair.RefreshToken), sessionstore.Client{}))
//		session, _, err := store.Get(ctx, string(refreshed.Pair.AccessToken))
//		if err != nil {
//			log.Fatal(err)
//		}
//		fmt.Printf("%s has %s\n", session.Subject, session.Data)
//		if err := store.Invalidate(ctx, session.ID); err != nil {
//			log.Fatal(err)
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
// # States
//
// A session is live from [Store.Create] until it ends: it is revoked, its
// refresh token expires unused (idle timeout), or its absolute end comes. An
// ended session never comes back; its rows stay until cleanup removes them.
//
// Its token pair lives in one row that is updated in place. One generation of
// the row counts the refresh tokens that were issued, another the access tokens;
// a JWT names row and generation. So the tables do not grow with refreshes, and
// the age of a presented token is a subtraction.
// One pure function decides what happens to a presented refresh token: see
// docs/refresh.md.
//
// # Files
//
// References between them go one way. Parameters and results are at the bottom
// (errors.go, session.go, config.go, seal.go), with the code that needs no database (core.go, core_claims.go, core_patch.go, draft.go); above them are the statements
// (reading.go, creation.go, replacement.go, limit.go, rotation.go, pair.go, revoke.go, confirm.go), on
// which store.go builds the [Store]; each operation is above that, in its own file.
//
// # Locks
//
// Everything that locks several rows locks the session row, then its pair's,
// and several sessions in the order of their ids. If a subject's sessions are
// limited, a creation first locks the subject (an advisory lock), and so does a
// sign-out everywhere; replacements share that lock. The refresh statement of the
// normal case takes no lock on the session row: it meets [Store.Invalidate] on
// the pair's row, which both change. If several refreshes share a statement, it
// skips locked rows, and so never waits for one while it holds another.
//
// # Guarantees
//
//   - After Invalidate has returned, no refresh and no Get of the session succeeds.
//   - A subject never has more live sessions than Config.SessionsPerSubject, if
//     that is set in every program that creates sessions.
//   - Of several calls of Replace for one session, one succeeds. After it has returned,
//     none of that session's tokens is accepted.
//   - Update never loses a concurrent change: it compares the checksum that was read.
//   - Each operation is one statement, or one transaction, and one round trip in the normal case.
//   - With a [Sealer], the database holds no session data in the clear.
//   - All decisions use the database's time.
//   - A failed database is [ErrUnavailable], never an invalid token. Every
//     operation but Create may simply be repeated.
//
// The statements rely on PostgreSQL's default isolation level, READ COMMITTED.
package sessionstore
