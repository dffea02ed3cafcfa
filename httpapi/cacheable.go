package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
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
