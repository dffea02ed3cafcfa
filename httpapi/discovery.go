package httpapi

import (
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// metadata is RFC 8414 §2, for a server that only refreshes and revokes: what it
// leaves out is about endpoints that do not exist, or are not public. Its list
// of response types is empty but present: §2 requires it, although §3.2 omits
// empty values, and parsers are more likely to need it than to reject it.
type metadata struct {
	Issuer                string   `json:"issuer"`
	TokenEndpoint         string   `json:"token_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	ResponseTypes         []string `json:"response_types_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuthMethods []string `json:"revocation_endpoint_auth_methods_supported"`
	DPoPAlgorithms        []string `json:"dpop_signing_alg_values_supported"` // RFC 9449 §5.1
}

const (
	metadataPath = "/.well-known/oauth-authorization-server"
	// openIDPath is where OpenID Connect clients look for the same document, as RFC
	// 8414 §3 provides. It does not make this an OpenID provider: there is no ID
	// token.
	openIDPath = "/.well-known/openid-configuration"
)

// metadataPaths are where clients look for the metadata: an issuer's path comes
// after the well-known name (RFC 8414 §3.1), or before that of OpenID Connect (§5).
// Behind a proxy that strips the path, only the name arrives.
func metadataPaths(issuer string) []string {
	paths := []string{metadataPath, openIDPath}
	path := issuerPath(issuer)
	if path == "" {
		return paths
	}
	return append(paths, metadataPath+path, openIDPath+path, path+openIDPath)
}

// issuerPath is the issuer's path as chi routes it.
func issuerPath(issuer string) string {
	u, err := url.Parse(issuer)
	switch {
	case err != nil:
		return ""
	case u.RawPath != "":
		return u.RawPath
	}
	return u.Path
}

func newMetadata(issuer string) (cacheable, error) {
	body, err := json.Marshal(metadata{
		Issuer:                issuer,
		TokenEndpoint:         issuer + "/oauth2/token",
		RevocationEndpoint:    issuer + "/oauth2/revoke",
		JWKSURI:               issuer + "/.well-known/jwks.json",
		ResponseTypes:         []string{},
		GrantTypes:            []string{"refresh_token"},
		TokenAuthMethods:      []string{"none"},
		RevocationAuthMethods: []string{"none"},
		DPoPAlgorithms:        dpop.Algorithms(),
	})
	return newCacheable(jsonType, body), err
}

// SetKeys replaces the public keys that are published, and their ETag. It may be
// called while the server runs. The store must be given the keys separately: see
// its SetKeys.
func (s *Server) SetKeys(keys *tokens.KeyRing) {
	jwks := newCacheable(jsonType, keys.PublicJWKS())
	s.jwks.Store(&jwks)
	s.setNonceSecrets(keys)
}

func (s *Server) getKeys(w http.ResponseWriter, r *http.Request) error {
	return s.jwks.Load().serve(w, r)
}
