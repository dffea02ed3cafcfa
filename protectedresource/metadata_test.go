package protectedresource_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/protectedresource"
)

const issuer = "https://login.example.com"

func TestDocument(t *testing.T) {
	t.Parallel()
	m, err := protectedresource.New(protectedresource.Config{Resource: "https://mcp.example.com/tools", Issuer: issuer, Scopes: []string{"read"}, Proofs: true})
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/metadata.json")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, m.Path(), http.NoBody))
	if diff := cmp.Diff(string(want), w.Body.String()); diff != "" || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d, %v: %s", w.Code, w.Header(), diff)
	}
	if origin := w.Header().Get("Access-Control-Allow-Origin"); origin != "*" {
		t.Errorf("pages of %q may read it", origin)
	}
	w = httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodHead, m.Path(), http.NoBody))
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("HEAD: %d, %v", w.Code, w.Header())
	}
	w = httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, m.Path(), http.NoBody))
	if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" || w.Body.String() != "Method Not Allowed\n" {
		t.Errorf("POST: %d, %v, %s", w.Code, w.Header(), w.Body)
	}
}

// A resource server that demands no proofs names no algorithms for them.
func TestDocumentWithoutProofs(t *testing.T) {
	t.Parallel()
	m, err := protectedresource.New(protectedresource.Config{Resource: "https://mcp.example.com", Issuer: issuer})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, m.Path(), http.NoBody))
	const want = `{"resource":"https://mcp.example.com","authorization_servers":["https://login.example.com"],"bearer_methods_supported":["header"]}`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Error(diff)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string]string{
		"https://mcp.example.com":       "https://mcp.example.com/.well-known/oauth-protected-resource",
		"https://mcp.example.com/":      "https://mcp.example.com/.well-known/oauth-protected-resource",
		"https://mcp.example.com/a/b":   "https://mcp.example.com/.well-known/oauth-protected-resource/a/b",
		"http://127.0.0.1:8080/a":       "http://127.0.0.1:8080/.well-known/oauth-protected-resource/a",
		"http://localhost:8080":         "http://localhost:8080/.well-known/oauth-protected-resource",
		"http://app.localhost:8080":     "http://app.localhost:8080/.well-known/oauth-protected-resource",
		"http://[::1]:8080/a":           "http://[::1]:8080/.well-known/oauth-protected-resource/a",
		"https://mcp.example.com/a%20b": "https://mcp.example.com/.well-known/oauth-protected-resource/a%20b",
	} {
		m, err := protectedresource.New(protectedresource.Config{Resource: resource, Issuer: issuer, Scopes: []string{"!~"}})
		if err != nil {
			t.Fatal(err)
		}
		if m.URL() != want {
			t.Errorf("%s: %s", resource, m.URL())
		}
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	const good = "https://mcp.example.com"
	for name, cfg := range map[string]protectedresource.Config{
		"nothing":         {},
		"no issuer":       {Resource: good},
		"plain http":      {Resource: "http://mcp.example.com", Issuer: issuer},
		"fragment":        {Resource: good + "#a", Issuer: issuer},
		"query":           {Resource: good + "?a", Issuer: issuer},
		"user":            {Resource: "https://ada@mcp.example.com", Issuer: issuer},
		"quote":           {Resource: `https://mcp"example.com`, Issuer: issuer},
		"not absolute":    {Resource: "/tools", Issuer: issuer},
		"issuer of http":  {Resource: good, Issuer: "http://login.example.com"},
		"two scopes":      {Resource: good, Issuer: issuer, Scopes: []string{"a b"}},
		"empty scope":     {Resource: good, Issuer: issuer, Scopes: []string{""}},
		"no ASCII scope":  {Resource: good, Issuer: issuer, Scopes: []string{"read", "\x7f"}},
		"quoted scope":    {Resource: good, Issuer: issuer, Scopes: []string{`a"b`}},
		"escaping scope":  {Resource: good, Issuer: issuer, Scopes: []string{`a\b`}},
		"no host":         {Resource: "https:///tools", Issuer: issuer},
		"another scheme":  {Resource: "ftp://localhost/tools", Issuer: issuer},
		"not a URL":       {Resource: "https://mcp.example.com/%zz", Issuer: issuer},
		"not a loopback":  {Resource: "http://127.0.0.1.example.com", Issuer: issuer},
		"another address": {Resource: "http://192.0.2.1", Issuer: issuer},
	} {
		if m, err := protectedresource.New(cfg); err == nil || m != nil {
			t.Errorf("%s is taken", name)
		}
	}
}
