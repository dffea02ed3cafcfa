package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func withQuery(t *testing.T, query string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	r.URL.RawQuery = query
	return r
}

// RFC 9700 §4.3.2: no credential passes in a query, whatever else is there, be it well-formed or not.
func TestCredentialsInAQuery(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"": "", "a=b": "", "Token=x": "", "access_tokens=x": "", "a=token": "", "token%zz=x": "",
		"access_token=x": "access_token", "refresh_token=x": "refresh_token", "token=x": "token", "client_secret=x": "client_secret",
		"token": "token", "a=b&token=": "token", "%74oken=x": "token", "a=%zz&token=x": "token", "a;b&token=x": "token", "token=x&access_token=x": "access_token",
	} {
		for name, check := range map[string]func(*http.Request) error{
			"where the rest is ignored": checkForCredentials, "where it is not": func(r *http.Request) error { return checkQuery(r, []string{"a"}) },
		} {
			p := asProblem(t, check(withQuery(t, query)))
			malformed := p.code == codeInvalidParameter && p.parameter == "" || p.code == codeUnknownParameter
			if (p.code == codeTokenInQuery) != (want != "") && (!malformed || strings.HasPrefix(name, "where the rest")) || p.code == codeTokenInQuery && p.parameter != want {
				t.Errorf("%q, %s: %+v, want %q", query, name, p, want)
			}
		}
	}
}

// The parameters that select sessions are passed to the store, or refused by their names.
func TestFindParams(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for query, want := range map[string]sessionstore.FindParams{
		"": {}, "ended=false": {}, "ended=true": {Ended: true},
		"subject=ann&label=phone&limit=2&cursor=x": {Subject: "ann", Label: "phone", ListParams: sessionstore.ListParams{Limit: 2, Cursor: "x"}},
		"since=2026-01-02T04:04:05%2B01:00":        {Since: since},
		"address=192.0.2.7":                        {Network: netip.MustParsePrefix("192.0.2.7/32")},
		"address=192.0.2.7/24":                     {Network: netip.MustParsePrefix("192.0.2.0/24")},
	} {
		got, err := findParams(withQuery(t, query))
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", query, err, diff)
		}
	}
	for query, want := range map[string]string{
		"ended=": "", "ended=1": "ended", "ended=TRUE": "ended", "since=yesterday": "since", "since=": "since", "address=home": "address", "address=": "address",
		"limit=-1&ended=1": "limit", "limit=1.5": "limit", "limit=": "limit", "limit=99999999999999999999": "limit",
	} {
		_, err := findParams(withQuery(t, query))
		if p := asProblem(t, err); p.parameter != want || (p.code == codeInvalidParameter) != (want != "") {
			t.Errorf("%s: %+v, want one about %q", query, p, want)
		}
	}
}

// Without a subject the route would select those of everyone.
func TestRequiredSubject(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{"subject=ann": "ann", "subject=+": " ", "": "", "subject=": "", "Subject=ann": ""} {
		got, err := requiredSubject(withQuery(t, query))
		if got != want || asProblem(t, err).parameter != map[bool]string{true: "subject"}[want == ""] {
			t.Errorf("%s: %q, %v", query, got, err)
		}
	}
}
