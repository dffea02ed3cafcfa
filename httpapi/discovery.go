package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"github.com/go-json-experiment/json"
)

// cacheSeconds is how long a copy of a public document may be used. A new
// signing key should be published for so long before it signs.
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
	h := w.Header()
	h.Set("Cache-Control", "public, max-age="+cacheSeconds)
	h.Set("ETag", c.etag)
	if ifNoneMatch(r, c.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	writeBody(w, http.StatusOK, c.mediaType, c.body)
	return nil
}

// metadata is RFC 8414 §2, for a server that only refreshes and revokes.
type metadata struct {
	Issuer                string   `json:"issuer"`
	TokenEndpoint         string   `json:"token_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	ResponseTypes         []string `json:"response_types_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuthMethods []string `json:"revocation_endpoint_auth_methods_supported"`
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
	})
	return newCacheable(jsonType, body), err
}
