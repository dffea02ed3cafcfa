//go:build !race

package httpapi_test

import "testing"

// How often each request allocates, with its own making, the store and the
// driver. Who needs more has a reason, and changes the number; who needs fewer
// lowers it. On a machine that is very busy what runs in the background adds one or
// two, for which there is room.
var mostAllocations = map[string]float64{
	"RefreshTokens": 164, // 29 are of golang-jwt's parser, which checks the presented token
	"Get":           136,
	"Create":        157,
}

//nolint:paralleltest // others would allocate meanwhile
func TestAllocations(t *testing.T) {
	for name, do := range newHotPath(t).operations() {
		got := testing.AllocsPerRun(200, func() { do(t) })
		t.Logf("%s allocates %v times", name, got)
		if most := mostAllocations[name]; got > most {
			t.Errorf("%s allocates %v times, at most %v are allowed", name, got, most)
		}
	}
}
