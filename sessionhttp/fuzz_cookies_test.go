package sessionhttp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Whatever a Cookie header has is tokens, or one of the errors that are 401 or a visitor.
func FuzzCookies(f *testing.F) {
	for _, seed := range []string{
		"", "__Host-session=a.b.c", "__Host-session=a; __Host-session-refresh=b", "__Host-session=a; __Host-session=b",
		"__Host-session=2.a; __Host-session.2=b", "__Host-session=4.a", "__Host-session=9.a", "__Host-session=2.a; __Host-session.2=b; __Host-session.2=c",
		"__Host-session=", "__Host-session=\"2.\"", "=;=;", "__Host-session=2.", "__Host-session=2", strings.Repeat("__Host-session=2.", 9),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header["Cookie"] = []string{value}
		presented, err := sessionhttp.Cookies{}.Read(r)
		if err != nil && (!errors.Is(err, sessionhttp.ErrNoToken) && !errors.Is(err, sessionhttp.ErrMalformed) || presented != (sessionhttp.Presented{})) {
			t.Errorf("%q: %v, %v", value, presented, err)
		}
		if err == nil && presented.Access == "" && presented.Refresh == "" {
			t.Errorf("%q has no token and no error", value)
		}
	})
}

// The next request has the cookies that a response sets, whatever the token's length.
func FuzzWrittenCookies(f *testing.F) {
	for _, n := range []int{1, 2, 3839, 3840, 3841, 7680, 7681, tokens.MaxTokenBytes} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int) {
		if n < 1 || n > tokens.MaxTokenBytes {
			return
		}
		access := tokens.Secret(strings.Repeat("e", n))
		header := http.Header{}
		sessionhttp.Cookies{}.Write(header, sessionstore.TokenPair{AccessToken: access, RefreshToken: "r"})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		for _, cookie := range (&http.Response{Header: header}).Cookies() {
			r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
		}
		presented, err := sessionhttp.Cookies{}.Read(r)
		if err != nil || presented.Access != access || presented.Refresh != "r" {
			t.Errorf("%d bytes: %d bytes, %v", n, len(presented.Access), err)
		}
	})
}
