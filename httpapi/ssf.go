package httpapi

import (
	"net/http"

	"github.com/go-json-experiment/json"
)

// ssfPath is where receivers look for a transmitter of the Shared Signals Framework 1.0
// (§7.2.1).
const ssfPath = "/.well-known/ssf-configuration"

// ssfPaths are, likewise, where receivers look for the metadata of the Shared Signals
// Framework.
func ssfPaths(issuer string) []string {
	path := issuerPath(issuer)
	if path == "" {
		return []string{ssfPath}
	}
	return []string{ssfPath, ssfPath + path}
}

// ssfMetadata is the Shared Signals Framework's (§7.1), for a transmitter that pushes what its
// operator has configured: it has no endpoint at which receivers manage streams.
type ssfMetadata struct {
	SpecVersion     string   `json:"spec_version"`
	Issuer          string   `json:"issuer"`
	JWKSURI         string   `json:"jwks_uri"`
	DeliveryMethods []string `json:"delivery_methods_supported"`
	DefaultSubjects string   `json:"default_subjects"`
}

func newSSFMetadata(issuer string) (cacheable, error) {
	body, err := json.Marshal(ssfMetadata{
		SpecVersion: "1_0", Issuer: issuer, JWKSURI: issuer + "/.well-known/jwks.json",
		DeliveryMethods: []string{"urn:ietf:rfc:8935"}, DefaultSubjects: "ALL",
	})
	return newCacheable(jsonType, body), err
}

func (s *Server) getSSFMetadata(w http.ResponseWriter, r *http.Request) error {
	if !s.cfg.SharedSignals {
		return &problem{code: codeRouteNotFound}
	}
	return s.ssf.serve(w, r)
}
