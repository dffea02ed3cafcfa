package authorization

import (
	"context"
	"net/http"
	"strings"

	"github.com/latchkey-sessions/latchkey/protectedresource"
)

type metadataKey struct{}

// WithMetadata returns an onError whose requests know the metadata, so that a custom
// onError that ends in the default one also has it in its challenges.
func WithMetadata(onError func(http.ResponseWriter, *http.Request, error), m *protectedresource.Metadata) func(http.ResponseWriter, *http.Request, error) {
	if m == nil {
		return onError
	}
	return func(w http.ResponseWriter, r *http.Request, err error) {
		onError(w, r.WithContext(context.WithValue(r.Context(), metadataKey{}, m)), err)
	}
}

// addMetadata adds the request's metadata to the challenges of the answer (RFC 9728 §5.1).
func addMetadata(h http.Header, r *http.Request) {
	m, ok := r.Context().Value(metadataKey{}).(*protectedresource.Metadata)
	if !ok {
		return
	}
	for i, challenge := range h["Www-Authenticate"] {
		separator := ", "
		if !strings.Contains(challenge, " ") {
			separator = " " // only the scheme
		}
		h["Www-Authenticate"][i] = challenge + separator + `resource_metadata="` + m.URL() + `"`
	}
}
