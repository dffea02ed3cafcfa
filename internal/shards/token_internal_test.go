package shards

import (
	"encoding/base64"
	"testing"

	"github.com/google/uuid"
)

const someSession = "0197a3f0-1c2d-8001-8def-0123456789ab"

// The session is the member sid of the claims themselves, wherever it is, and nothing that
// looks like one within another claim.
func TestClaimedSession(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]string{
		`{"sid":"` + someSession + `"}`: someSession,
		`{"a":{"sid":"0197a3f0-1c2d-8002-8def-0123456789ab"},"b":"\"sid\":\"x\"","sid":"` + someSession + `","z":1}`: someSession,
		`{"a":{"sid":"` + someSession + `"}}`: "",
		`{"sid":1}`:                           "",
		`{"sid":"x"}`:                         "",
		`{"a":1`:                              "",
		`["sid","` + someSession + `"]`:       "",
		``:                                    "",
		`null`:                                "",
	} {
		got, ok := claimedSession("header." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".signature")
		if ok != (want != "") || ok && got != uuid.MustParse(want) {
			t.Errorf("%s: %s, %t", payload, got, ok)
		}
	}
}
