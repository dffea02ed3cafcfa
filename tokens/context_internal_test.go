package tokens

import "testing"

// Claims with only a cookie are split without decoding. Claims with more than that, or in a form
// that JoinClaims does not write, are not.
func TestSplitCookie(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]struct {
		cookie, own string
		only        bool
	}{
		"{\"latchkey_cookie\":\"c\"\n}":            {"c", "", true},
		"{\"latchkey_cookie\":\"c\"\n,\"a\":1}":    {"c", `{"a":1}`, true},
		"{\"latchkey_cookie\":\"\\u0063\"\n}":      {},
		"{\"latchkey_cookie\":\"c\"}":              {},
		"{\"latchkey_cookie\":\"c\"\nx":            {},
		"{\"latchkey_cookie\":\"\"\n}":             {},
		"{\"latchkey_cookie\":null\n}":             {},
		"{\"acr\":\"a\",\"latchkey_cookie\":\"\"}": {},
	} {
		if cookie, own, only := splitCookie(form); cookie != want.cookie || own != want.own || only != want.only {
			t.Errorf("%q: %q, %q, %v, want %+v", form, cookie, own, only, want)
		}
	}
}
