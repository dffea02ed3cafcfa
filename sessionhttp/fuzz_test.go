package sessionhttp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
)

// RFC 6750 §2.1: one token, to the byte, or none.
func FuzzBearerToken(f *testing.F) {
	for _, seed := range []string{"Bearer a.b.c", "bearer  x", "Bearer", "Bearer ", "Bearer a b", "Bearer a,Bearer b", "Basic YTpi", "", "Bearer\tx", "Bearer \xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header["Authorization"] = []string{value}
		token, err := sessionhttp.BearerToken(r)
		if err != nil && (!errors.Is(err, sessionhttp.ErrMalformed) || token != "") {
			t.Errorf("%q: %q, %v", value, token, err)
		}
		if err == nil && (token == "" || strings.ContainsAny(token, " \t,") || !strings.HasSuffix(value, " "+token) || !strings.EqualFold(value[:7], "Bearer ")) {
			t.Errorf("%q became %q", value, token)
		}
	})
}
