package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"

	"github.com/latchkey-sessions/latchkey/dpop"
)

// cacheSeconds is how long a copy of a public document may be used. A new
// signing key must be published for longer than this before it signs: see
// keystore.DefaultPublishAhead.
const cacheSeconds = "300"

// cacheable is a document that stays the same while the server runs.
type cacheable struct {
	mediaType string
	body      []byte
	etag      string
}

func newCacheable(mediaType string, body []byte) cacheable {
	digest := sha256.Sum256(body)
	return cacheable{mediaType, body, etagOf(base64.RawURLEncoding.EncodeToString(digest[:16]))}
}

func (c cacheable) serve(w http.ResponseWriter, r *http.Request) error {
	const cacheControl = "public, max-age=" + cacheSeconds
	h := w.Header()
	h.Set("Cache-Control", cacheControl)
	h.Set("ETag", c.etag)
	if ifNoneMatch(r, c.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	writeBody(w, http.StatusOK, c.mediaType, cacheControl, c.body)
	return nil
}

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

// ssfPaths are, likewise, where receivers look for the metadata of the Shared Signals
// Framework.
func ssfPaths(issuer string) []string {
	path := issuerPath(issuer)
	if path == "" {
		return []string{ssfPath}
	}
	return []string{ssfPath, ssfPath + path}
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
