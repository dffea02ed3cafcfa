// Package keystore keeps the keys that tokens are signed with in PostgreSQL, so
// that all replicas have the same ones, and replaces them while they run.
//
// A key is in one of three states, by the database's clock: published, signing,
// or verifying only. What the package promises:
//
//   - A key is published before it signs, for long enough that whoever verifies
//     with the published keys has fetched it. A replica that meets a token of a key
//     that it does not know looks for the key before it refuses the token.
//
//   - A key that was replaced verifies until the last token that it signed has
//     expired, whatever lifetimes sessions have. A rotation logs nobody out.
//
//   - Replicas that make a key at the same moment make one.
//
//   - Private keys are sealed (see [tokens.Sealer]): whoever reads the database, or
//     a backup of it, cannot sign. No log or error shows one.
//
//   - A database that is away changes no key. What cannot be told then is an
//     outage, and never a token that is not valid.
package keystore
