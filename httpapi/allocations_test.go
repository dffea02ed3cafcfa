//go:build !race

package httpapi_test

import (
	"io"
	"net/http"
	"testing"
)

// How often each request allocates, the store and the driver included; what the test
// itself allocates is not counted. A change that needs more says why, and raises the number;
// one that needs fewer lowers it. On a very busy machine, background work adds
// one or two, for which there is room.
var mostAllocations = map[string]float64{
	"RefreshTokens": 72, // 49 are of golang-jwt: 38 for its check of the presented token, 11 for two signatures
	"Get":           29,
	"Create":        70,
}

//nolint:paralleltest // others would allocate meanwhile
func TestAllocations(t *testing.T) {
	h := newHotPath(t)
	for name, do := range h.operations() {
		all := testing.AllocsPerRun(200, func() { do(t) })
		own := h.ofTheTest(t, name)
		got := all - own
		t.Logf("%s allocates %v times, and the test %v times", name, got, own)
		if most := mostAllocations[name]; got > most {
			t.Errorf("%s allocates %v times, at most %v are allowed", name, got, most)
		}
	}
}

// ofTheTest is how often an operation's test allocates: it is the same with the last two
// answers instead of a service.
func (h *hotPath) ofTheTest(t *testing.T, name string) float64 {
	t.Helper()
	answers, n := h.answers, 0
	again := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, answers[n%2]); err != nil {
			t.Error(err)
		}
		n++
	})
	test := &hotPath{public: again, internal: again, access: h.access, refresh: h.refresh}
	return testing.AllocsPerRun(200, func() { test.operations()[name](t) })
}
