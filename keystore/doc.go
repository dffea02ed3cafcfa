// Package keystore keeps the signing keys of tokens in PostgreSQL, so
// that all replicas share them, and replaces them while the replicas run.
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
//		"github.com/latchkey-sessions/latchkey/keystore"
//		"github.com/latchkey-sessions/latchkey/migrations"
//		"github.com/latchkey-sessions/latchkey/tokens"
//	)
//
//	func main() {
//		ctx := context.Background()
//		pool := must(pgxpool.New(ctx, os.Getenv("LATCHKEY_DATABASE_URL")))
//		must(migrations.Up(ctx, pool))
//		secret := must(os.ReadFile("key-encryption-key")) // made by: head -c 32 /dev/urandom
//		keys := must(keystore.New(pool, keystore.Config{Sealer: must(tokens.NewSealer(secret))}))
//		ring := must(keys.Begin(ctx, "")) // the first replica makes a key
//		for _, key := range must(keys.List(ctx)) {
//			fmt.Println(key.ID, key.State)
//		}
//		fmt.Println(string(ring.PublicJWKS())) // hand ring to sessionstore.New, and its SetKeys to keys.OnChange
//	}
//
//	func must[T any](value T, err error) T {
//		if err != nil {
//			log.Fatal(err)
//		}
//		return value
//	}
//
// A key is in one of three states, by the database's clock: published, signing,
// or verifying only. The package promises:
//
//   - A key is published before it signs, for long enough that every verifier that
//     uses the published keys has fetched it. A replica that meets a token signed by an unknown
//     key looks for the key before it refuses the token.
//
//   - A replaced key verifies until the last token that it signed has
//     expired, whatever lifetimes sessions have. A rotation logs nobody out.
//
//   - Replicas that make a key at the same moment make only one.
//
//   - Private keys are sealed (see [tokens.Sealer]): anyone who reads the database, or
//     a backup of it, cannot sign. No log or error shows one.
//
//   - Where sessions are spread over several databases, each has a copy of the sealed keys:
//     signing survives the loss of the database that the keys are in ([Config.Copies]).
//
//   - A database outage changes no key. If a token cannot be checked meanwhile, that is
//     reported as an outage, never as an invalid token.
package keystore
