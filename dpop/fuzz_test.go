package dpop_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/dpop"
)

// Whatever is presented: no panic, an answer of ErrInvalid or a thumbprint, and
// the same answer again.
func FuzzCheck(f *testing.F) {
	c := checker(f)
	for _, s := range []spec{good(f, ed(f), jose.EdDSA), good(f, ed(f), "Ed25519"), good(f, p256(f), jose.ES256), good(f, rsaKey(f, 2048), jose.RS256)} {
		f.Add(s.sign(f), "GET", base+"/cart")
	}
	f.Add("..", "GET", "https://[::1%25eth0]/%")
	f.Add("eyJhbGciOiJub25lIn0.e30.", "", "https://x/%2")
	f.Fuzz(func(t *testing.T, proof, method, url string) {
		request := dpop.Request{Method: method, URL: url, AccessToken: token}
		got, err := c.Check(proof, request)
		if err != nil && (!errors.Is(err, dpop.ErrInvalid) || got != dpop.Proof{}) {
			t.Errorf("%+v, %v", got, err)
		}
		if err == nil && (len(got.Thumbprint) != 43 || strings.Count(proof, ".") != 2) {
			t.Errorf("accepted: %+v", got)
		}
		if again, errAgain := c.Check(proof, request); again != got || (err == nil) != (errAgain == nil) {
			t.Errorf("another answer the second time: %v, %v", err, errAgain)
		}
	})
}
