// Command importer is a program that imports Latchkey as a published module.
package main

import (
	"fmt"
	"log"

	"github.com/latchkey-sessions/latchkey/tokens"
)

func main() {
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		log.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ring.Keys()[0].Algorithm)
}
