//go:build !race

package clientaddr_test

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/clientaddr"
)

// Each request has an address, most in its usual form: nothing is allocated for it,
// nor for a header that is not there.
//
//nolint:paralleltest // others would allocate meanwhile
func TestAllocations(t *testing.T) {
	for _, text := range []string{"203.0.113.7", "203.0.113.7:51008", "[2001:db8::7]:51008", ""} {
		if n := testing.AllocsPerRun(100, func() { _, _, _ = clientaddr.ParseText(text) }); n != 0 {
			t.Errorf("%q: %v allocations", text, n)
		}
	}
}
