package authorization_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/internal/authorization"
)

// RFC 6750 §2.1, RFC 9449 §7.1: there is one header with one of two schemes, in any case, and a
// token; a request without the header is not malformed.
func TestToken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		values        []string
		scheme, token string
		want          error
	}{
		"none":                  {nil, "", "", authorization.ErrNoToken},
		"bearer":                {[]string{"Bearer x.y.z"}, authorization.Bearer, "x.y.z", nil},
		"bearer in lower case":  {[]string{"bearer x"}, authorization.Bearer, "x", nil},
		"several spaces":        {[]string{"Bearer   x"}, authorization.Bearer, "x", nil},
		"bound":                 {[]string{"DPoP x"}, dpop.Scheme, "x", nil},
		"bound in lower case":   {[]string{"dpop x"}, dpop.Scheme, "x", nil},
		"a space in the token":  {[]string{"Bearer x y "}, authorization.Bearer, "x y ", nil},
		"empty":                 {[]string{""}, "", "", authorization.ErrMalformed},
		"only the scheme":       {[]string{"Bearer"}, "", "", authorization.ErrMalformed},
		"no token":              {[]string{"DPoP  "}, "", "", authorization.ErrMalformed},
		"only a token":          {[]string{"x"}, "", "", authorization.ErrMalformed},
		"another scheme":        {[]string{"Basic x"}, "", "", authorization.ErrMalformed},
		"a scheme that goes on": {[]string{"Bearers x"}, "", "", authorization.ErrMalformed},
		"a tab":                 {[]string{"Bearer\tx"}, "", "", authorization.ErrMalformed},
		"two headers":           {[]string{"Bearer x", "Bearer x"}, "", "", authorization.ErrMalformed},
		"a header and an empty": {[]string{"DPoP x", ""}, "", "", authorization.ErrMalformed},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		if test.values != nil {
			r.Header["Authorization"] = test.values
		}
		scheme, token, err := authorization.Token(r)
		if scheme != test.scheme || token != test.token || !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%s: %q %q, %v", name, scheme, token, err)
		}
	}
}
