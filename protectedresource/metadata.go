// Package protectedresource publishes to OAuth clients which issuer's tokens a resource server accepts (RFC 9728).
//
//	package main
//
//	import (
//		"log"
//		"net/http"
//
//		"github.com/latchkey-sessions/latchkey/protectedresource"
//	)
//
//	func main() {
//		metadata := must(protectedresource.New(protectedresource.Config{
//			Resource: "https://mcp.example.com/mcp", Issuer: "https://id.example.com",
//		}))
//		http.Handle(metadata.Path(), metadata) // and hand metadata to verifier.Config or sessionhttp.Config
//		log.Fatal(http.ListenAndServe("localhost:8090", nil))
//	}
//
//	func must[T any](value T, err error) T {
//		if err != nil {
//			log.Fatal(err)
//		}
//		return value
//	}
package protectedresource

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/latchkey-sessions/latchkey/dpop"
)

const wellKnown = "/.well-known/oauth-protected-resource"

// Config describes a resource server.
type Config struct {
	// Resource is its identifier, which is the aud of its access tokens: an https URL
	// without query and fragment, or an http one on a loopback address. Required.
	Resource string
	// Issuer is the iss of its access tokens, a URL of the same form. Required.
	Issuer string
	// Scopes are those that a client may request. Nil omits them.
	Scopes []string
	// Proofs says that tokens that are bound to a key are accepted with a proof (RFC 9449).
	Proofs bool
}

// Metadata is the document of a resource server. It serves it as an [http.Handler].
type Metadata struct {
	url, path string
	document  []byte
}

type document struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	ProofAlgorithms      []string `json:"dpop_signing_alg_values_supported,omitempty"`
}

// New returns the metadata of a resource server.
func New(cfg Config) (*Metadata, error) {
	u, err := parse("Resource", cfg.Resource)
	if err != nil {
		return nil, err
	}
	if _, err := parse("Issuer", cfg.Issuer); err != nil {
		return nil, err
	}
	for _, scope := range cfg.Scopes {
		if scope == "" || strings.ContainsFunc(scope, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
			return nil, fmt.Errorf("protectedresource: the scope %q is not one or more visible ASCII characters other than \" and \\", scope) // RFC 6749 §3.3
		}
	}
	d := document{Resource: cfg.Resource, AuthorizationServers: []string{cfg.Issuer}, BearerMethods: []string{"header"}, Scopes: cfg.Scopes}
	if cfg.Proofs {
		d.ProofAlgorithms = dpop.Algorithms()
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, errors.New("protectedresource: the metadata cannot be encoded")
	}
	path := wellKnown // RFC 9728 §3.1: between the host and the path
	if p := u.EscapedPath(); p != "/" {
		path += p
	}
	return &Metadata{url: u.Scheme + "://" + u.Host + path, path: path, document: text}, nil
}

func parse(name, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(text, "?# \"\\<>") ||
		u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("protectedresource: %s is %q; it must be an https URL without user, query and fragment, or an http one on a loopback address", name, text)
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}

// Path is where the document must be served: the well-known path, followed by the
// resource's own.
func (m *Metadata) Path() string { return m.path }

// URL is where clients find the document, as stated in challenges (RFC 9728 §5.1).
func (m *Metadata) URL() string { return m.url }

// ServeHTTP serves the document. Pages of any origin may read it: it is public.
func (m *Metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	_, _ = w.Write(m.document)
}
