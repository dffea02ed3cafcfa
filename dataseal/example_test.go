package dataseal_test

import (
	"fmt"

	"github.com/latchkey-sessions/latchkey/dataseal"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// A keyset as `api data keys generate` makes it comes from wherever secrets are kept.
func Example() {
	keys, err := dataseal.ParseKeyset([]byte(`{"primaryKeyId":1,"key":[{"keyId":1,"status":"ENABLED","outputPrefixType":"TINK","keyData":{
		"typeUrl":"type.googleapis.com/google.crypto.tink.AesGcmKey","keyMaterialType":"SYMMETRIC",
		"value":"GiAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="}}]}`))
	if err != nil {
		panic(err)
	}
	sealer, err := dataseal.NewSealer(keys)
	if err != nil {
		panic(err)
	}
	cfg := sessionstore.Config{Sealer: sealer}
	fmt.Println("key", cfg.Sealer.Key(), "seals")
	// Output: key 1 seals
}
