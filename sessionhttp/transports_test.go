package sessionhttp_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Each transport takes one token from its own place, and nothing from any other.
func TestTransportsRead(t *testing.T) {
	t.Parallel()
	const form, none, malformed = "application/x-www-form-urlencoded", "no token", "malformed"
	cookies := func(text string) http.Header { return http.Header{"Cookie": {text}} }
	for _, test := range []struct {
		transport sessionhttp.Transport
		header    http.Header
		body      string
		want      string // scheme, access and refresh token; or an error
	}{
		{sessionhttp.Bearer{}, http.Header{"Authorization": {"bearer a"}}, "", "Bearer a "},
		{sessionhttp.Bearer{}, http.Header{"Authorization": {"DPoP a"}}, "", "DPoP a "},
		{sessionhttp.Bearer{}, http.Header{"Authorization": {"Bearer a,b"}}, "", malformed},
		{sessionhttp.Bearer{}, http.Header{"Authorization": {"Bearer a b"}}, "", malformed},
		{sessionhttp.Bearer{}, http.Header{"Authorization": {"Bearer a\tb"}}, "", malformed},
		{sessionhttp.Bearer{}, http.Header{"Authorization": {"Basic a"}}, "", malformed},
		{sessionhttp.Bearer{}, http.Header{}, "", none},
		{sessionhttp.Header("X-Session"), http.Header{"X-Session": {"a"}}, "", "Bearer a "},
		{sessionhttp.Header("X-Session"), http.Header{"X-Session": {""}}, "", malformed},
		{sessionhttp.Header("X-Session"), http.Header{"X-Session": {"a", "a"}}, "", malformed},
		{sessionhttp.Header("X-Session"), http.Header{"Authorization": {"Bearer a"}}, "", none},
		{sessionhttp.Body(""), http.Header{"Content-Type": {form + "; charset=utf-8"}}, "access_token=a", "Bearer a "},
		{sessionhttp.Body(""), http.Header{"Content-Type": {form}}, "b=a", none},
		{sessionhttp.Body(""), http.Header{"Content-Type": {form}}, "access_token=", malformed},
		{sessionhttp.Body(""), http.Header{"Content-Type": {form}}, "access_token=a&access_token=b", malformed},
		{sessionhttp.Body(""), http.Header{"Content-Type": {form}}, "access_token=a&%zz", malformed},
		{sessionhttp.Body(""), http.Header{"Content-Type": {"text/plain"}}, "access_token=a", none},
		{sessionhttp.Body(""), http.Header{"Content-Type": {form + ";="}}, "access_token=a", none},
		{sessionhttp.Body("b"), http.Header{"Content-Type": {form}}, "access_token=a&b=c", "Bearer c "},
		{sessionhttp.Cookies{}, cookies("__Host-session=a; __Host-session-refresh=r"), "", "Bearer a r"},
		{sessionhttp.Cookies{}, cookies("__Host-session=a"), "", "Bearer a "},
		{sessionhttp.Cookies{}, cookies("__Host-session-refresh=r"), "", "Bearer  r"},
		{sessionhttp.Cookies{}, cookies("session=a; __Host-session="), "", none},
		{sessionhttp.Cookies{}, http.Header{}, "", none},
		{sessionhttp.Cookies{}, cookies("__Host-session=a; __Host-session=a"), "", malformed},
		{sessionhttp.Cookies{}, cookies("__Host-session=a; __Host-session-refresh=r; __Host-session-refresh=r"), "", malformed},
		{sessionhttp.Cookies{Name: "shop"}, cookies("__Host-shop=a; __Host-shop-refresh=r; __Host-session=b"), "", "Bearer a r"},
		// The first part of several says how many there are; no token begins like it.
		{sessionhttp.Cookies{}, cookies("__Host-session=2.a; __Host-session.2=b; __Host-session.3=c"), "", "Bearer ab "},
		{sessionhttp.Cookies{}, cookies("__Host-session.3=c; __Host-session.2=b; __Host-session=3.a"), "", "Bearer abc "},
		{sessionhttp.Cookies{}, cookies("__Host-session=2.; __Host-session.2=b"), "", "Bearer b "},
		{sessionhttp.Cookies{}, cookies("__Host-session=2.a"), "", "Bearer a "},
		{sessionhttp.Cookies{}, cookies("__Host-session=2.a; __Host-session.2=b; __Host-session.2=b"), "", malformed},
		{sessionhttp.Cookies{}, cookies("__Host-session=1.a; __Host-session.2=b"), "", "Bearer 1.a "},
		{sessionhttp.Cookies{}, cookies("__Host-session=5.a; __Host-session.2=b"), "", "Bearer 5.a "},
		{sessionhttp.Cookies{}, cookies("__Host-session=2a; __Host-session.2=b"), "", "Bearer 2a "},
		{sessionhttp.Cookies{}, cookies("__Host-session=2; __Host-session.2=b"), "", "Bearer 2 "},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/?access_token=q", strings.NewReader(test.body))
		r.Header = test.header
		presented, err := test.transport.Read(r)
		got := fmt.Sprintf("%s %s %s", presented.Scheme, string(presented.Access), string(presented.Refresh))
		switch {
		case err != nil && presented != (sessionhttp.Presented{}):
			got += ", with an error"
		case errors.Is(err, sessionhttp.ErrNoToken):
			got = none
		case errors.Is(err, sessionhttp.ErrMalformed):
			got = malformed
		}
		if got != test.want {
			t.Errorf("%T of %v %q: %q, %v; want %q", test.transport, test.header, test.body, got, err, test.want)
		}
	}
}

// Cookies do not count in a request that another site's page may have sent and that may change something: a WebSocket
// may, whatever its method. The request itself stays as it is.
func TestCookiesFromAnotherSite(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, site, upgrade string
		want                  error
	}{
		{http.MethodPost, "same-origin", "", nil},
		{http.MethodPost, "", "", nil},
		{http.MethodPost, "cross-site", "", sessionhttp.ErrCrossSite},
		{http.MethodGet, "cross-site", "", nil},
		{http.MethodGet, "same-origin", "websocket", nil},
		{http.MethodGet, "cross-site", "websocket", sessionhttp.ErrCrossSite},
	} {
		r := httptest.NewRequestWithContext(t.Context(), test.method, "/", http.NoBody)
		r.AddCookie(&http.Cookie{Name: "__Host-session", Value: "a"})
		r.Header.Set("Sec-Fetch-Site", test.site)
		r.Header.Set("Upgrade", test.upgrade)
		presented, err := sessionhttp.Cookies{}.Read(r)
		if !errors.Is(err, test.want) || (err == nil) != (presented.Access == "a") || r.Method != test.method {
			t.Errorf("%+v: %v, %v, and it is a %s", test, presented, err, r.Method)
		}
	}
}

// Only cookies come by themselves. Vary is the header that a response depends on.
func TestTransportsAreAmbient(t *testing.T) {
	t.Parallel()
	for transport, vary := range map[sessionhttp.Transport]string{
		sessionhttp.Bearer{}: "", sessionhttp.Body(""): "", sessionhttp.Header("X-Session"): "X-Session", sessionhttp.Cookies{}: "Cookie",
	} {
		_, isCookies := transport.(sessionhttp.Cookies)
		got := ""
		if varying, ok := transport.(interface{ Vary() string }); ok {
			got = varying.Vary()
		}
		if transport.Ambient() != isCookies || got != vary {
			t.Errorf("%T: ambient: %v, Vary: %q", transport, transport.Ambient(), got)
		}
	}
}

// Browsers drop a cookie of more than 4,096 bytes: a longer token is in several, and no token in more than it needs.
func TestPartsOfATokenAreKept(t *testing.T) {
	t.Parallel()
	const part = 3840
	for n, want := range map[int]int{1: 1, part: 1, part + 1: 2, 2 * part: 2, 2*part + 1: 3, tokens.MaxTokenBytes: 4} {
		h := http.Header{}
		var token tokens.Secret
		for len(token) < n {
			token += tokens.Secret(fmt.Sprint(len(token), "."))
		}
		token = token[:n]
		sessionhttp.Cookies{}.Write(h, sessionstore.TokenPair{AccessToken: token, RefreshToken: "r"})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		for _, cookie := range (&http.Response{Header: h}).Cookies() {
			r.AddCookie(cookie)
		}
		if presented, err := (sessionhttp.Cookies{}).Read(r); err != nil || presented.Access != token {
			t.Errorf("a token of %d bytes is read as one of %d (%v)", n, len(presented.Access), err)
		}
		if got := len(h["Set-Cookie"]) - 1; got != want {
			t.Errorf("a token of %d bytes is in %d cookies, want %d", n, got, want)
		}
		for _, cookie := range h["Set-Cookie"] {
			if len(cookie) > 4096 {
				t.Errorf("a token of %d bytes: a cookie has %d", n, len(cookie))
			}
		}
	}
}

// BearerToken is for programs that accept no bound token.
func TestBearerTokenIsNotBound(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]error{"Bearer a": nil, "DPoP a": sessionhttp.ErrMalformed, "": sessionhttp.ErrNoToken} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		if value != "" {
			r.Header.Set("Authorization", value)
		}
		token, err := sessionhttp.BearerToken(r)
		if (token == "a") != (want == nil) || !errors.Is(err, want) {
			t.Errorf("%q: %q, %v", value, token, err)
		}
	}
}

// A request without a form is not parsed as one.
func TestNoForm(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/?%zz", strings.NewReader("access_token=a"))
	r.Header.Set("Content-Type", "text/plain")
	if _, err := sessionhttp.Body("").Read(r); !errors.Is(err, sessionhttp.ErrNoToken) || r.Form != nil {
		t.Errorf("%v, %v", err, r.Form)
	}
}

// RFC 6265bis §4.1.3.2, §5.5: each cookie is for this host and no script, and lasts as long as its tokens. They
// replace the same cookies of an earlier call; other cookies stay, and no cache keeps the response.
func TestCookiesAreWritten(t *testing.T) {
	t.Parallel()
	const attributes = "; HttpOnly; Secure; SameSite=Lax"
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pair := func(access, refresh int) sessionstore.TokenPair {
		p := sessionstore.TokenPair{AccessToken: "a", AccessTokenExpiresAt: now.Add(time.Duration(access) * time.Second), AnsweredAt: now}
		if refresh > 0 {
			p.RefreshToken, p.RefreshTokenExpiresAt = "r", now.Add(time.Duration(refresh)*time.Second)
		}
		return p
	}
	gone := func(name string) string { return name + "=; Path=/; Max-Age=0" }
	access, refresh := gone("__Host-session"), gone("__Host-session-refresh")
	parts := []string{gone("__Host-session.2"), gone("__Host-session.3"), gone("__Host-session.4")} // as many as the largest token has
	for name, test := range map[string]struct {
		write func(sessionhttp.Cookies, http.Header)
		want  []string
	}{
		"both": {func(c sessionhttp.Cookies, h http.Header) { c.Write(h, pair(60, 600)) }, []string{"__Host-session=a; Path=/; Max-Age=600", "__Host-session-refresh=r; Path=/; Max-Age=600"}},
		"at their end": {func(c sessionhttp.Cookies, h http.Header) {
			p := pair(60, 600)
			p.RefreshTokenExpiresAt = now
			c.Write(h, p)
		}, []string{"__Host-session=a; Path=/; Max-Age=1", "__Host-session-refresh=r; Path=/; Max-Age=1"}},
		"no refresh token": {func(c sessionhttp.Cookies, h http.Header) { c.Write(h, pair(60, 0)) }, append([]string{"__Host-session=a; Path=/; Max-Age=60", refresh}, parts...)},
		"cleared":          {func(c sessionhttp.Cookies, h http.Header) { c.Clear(h) }, append([]string{access, refresh}, parts...)},
		"written, then cleared": {func(c sessionhttp.Cookies, h http.Header) {
			c.Write(h, pair(60, 600))
			c.Clear(h)
		}, append([]string{access, refresh}, parts...)},
		"cleared, then written": {func(c sessionhttp.Cookies, h http.Header) {
			c.Clear(h)
			c.Write(h, pair(60, 600))
		}, append([]string{"__Host-session=a; Path=/; Max-Age=600", "__Host-session-refresh=r; Path=/; Max-Age=600"}, parts...)},
	} {
		h := http.Header{"Set-Cookie": {"__Host-sessions=x", "other=y"}}
		test.write(sessionhttp.Cookies{}, h)
		want := []string{"__Host-sessions=x", "other=y"}
		for _, cookie := range test.want {
			want = append(want, cookie+attributes)
		}
		got := slices.Sorted(slices.Values(h["Set-Cookie"]))
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control %q (-want +got):\n%s", name, h.Get("Cache-Control"), diff)
		}
	}
}
