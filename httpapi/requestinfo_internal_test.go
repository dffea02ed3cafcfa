package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
)

// An id that a caller chooses goes into logs and headers: anything else than one is replaced.
func TestChosenRequestIDs(t *testing.T) {
	t.Parallel()
	address := netip.MustParseAddr("192.0.2.1")
	for given, kept := range map[string]bool{
		"a": true, "Az09._-": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a b": false, "a\n": false, "ü": false, "a:b": false, "\"a\"": false,
	} {
		ctx := &requestContext{Context: t.Context()}
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
		r.Header.Set(requestIDHeader, given)
		w := httptest.NewRecorder()
		identify(func(*http.Request) (netip.Addr, string) { return address, "192.0.2.1" })(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			info := infoOf(r)
			if (info.id == given) != kept || !requestIDs.MatchString(info.id) || info.address != address || info.client != "192.0.2.1" {
				t.Errorf("%q became %+v", given, info)
			}
		})).ServeHTTP(w, r)
		if got := w.Header()[requestIDHeader]; len(got) != 1 || got[0] != ctx.info.id || got[0] == "" {
			t.Errorf("%q is answered with %q", given, got)
		}
	}
	if one, two := newRequestID(), newRequestID(); one == two || len(one) != 32 {
		t.Errorf("%q and %q", one, two)
	}
}

// A log line and a metric have no text that a caller chose.
func TestMethodOf(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]string{
		"GET": "GET", "HEAD": "HEAD", "POST": "POST", "PUT": "PUT", "PATCH": "PATCH", "DELETE": "DELETE", "OPTIONS": "OPTIONS",
		"": "other", "get": "other", "TRACE": "other", "PROPFIND": "other",
	} {
		if got := methodOf(&http.Request{Method: method}); got != want {
			t.Errorf("%q is %q, want %q", method, got, want)
		}
	}
}

// A log line has the pattern of a route, not what a caller chose in its place.
func TestRouteOf(t *testing.T) {
	t.Parallel()
	router := chi.NewRouter()
	got := ""
	note := func(_ http.ResponseWriter, r *http.Request) { got = routeOf(r) }
	router.Get("/v1/sessions/{id}", note)
	router.NotFound(note)
	for path, want := range map[string]string{"/v1/sessions/1": "/v1/sessions/{id}", "/a": "none"} {
		router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// An id of a session has one form: any other text names none.
func TestSessionIDs(t *testing.T) {
	t.Parallel()
	const id = "01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91"
	for text, want := range map[string]bool{
		id: true, "": false, id[1:]: false, id + "0": false, "{" + id + "}": false, "urn:uuid:" + id: false, strings.ReplaceAll(id, "-", ""): false,
		strings.Replace(id, "0", "g", 1): false,
	} {
		if got, ok := parseSessionID(text); ok != want || ok && got.String() != id {
			t.Errorf("%q is %v, %v", text, got, ok)
		}
	}
}

// An endpoint's name is 1 to 64 bytes of text.
func TestEndpointNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"a": true, "crm 2": true, "ü": true, strings.Repeat("a", 64): true, "": false, strings.Repeat("a", 65): false, "a\n": false, "\x7f": false, "\xff": false,
	} {
		if got := isEndpointName(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
