// Package dataseal seals session data, so that it cannot be read in the
// database, a dump or a backup.
//
//	package main
//
//	import (
//		"fmt"
//		"log"
//
//		"github.com/google/uuid"
//
//		"github.com/latchkey-sessions/latchkey/dataseal"
//	)
//
//	func main() {
//		keyset := must(dataseal.NewKeyset()) // keep what Marshal returns; ParseKeyset reads it
//		sealer := must(dataseal.NewSealer(keyset))
//		session := uuid.New()
//		sealed := must(sealer.Seal(session, []byte(`{"theme":"dark"}`)))
//		fmt.Println(string(must(sealer.Open(session, sealed)))) // a store seals with sessionstore.Config.Sealer
//	}
//
//	func must[T any](value T, err error) T {
//		if err != nil {
//			log.Fatal(err)
//		}
//		return value
//	}
//
// It promises that data opens only with a key of the keyset that sealed it, and
// only for the session that it was sealed for: data that was moved to another row, or
// changed by a bit, does not open. The keys are a keyset of Google Tink
// (https://developers.google.com/tink/design/keysets): its primary key seals, all
// of its enabled keys open. A keyset is not encrypted: protect it like a password.
//
// This package makes keys for XAES-256-GCM (https://c2sp.org/XAES-256-GCM),
// which is AES-256-GCM with a separate key for each message: with random nonces
// a key of plain AES-GCM may seal 2³² messages (NIST SP 800-38D §8.3), which a busy
// service reaches within weeks, without anything counting them. Keys for
// AES-256-GCM, such as Tink's own tools make, are accepted too.
//
// The length of the data is visible: it is not padded.
package dataseal
