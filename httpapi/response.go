package httpapi

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const noStore = "no-store"

// ours keeps the encoder from checking for duplicate members: our documents have none,
// and stored data was checked before.
var ours = jsontext.AllowDuplicateNames(true)

// writeJSON answers with a JSON document that must not be cached (RFC 6749 §5.1, and
// sessions concern only the caller).
func writeJSON(w http.ResponseWriter, status int, document any) error {
	body, err := json.Marshal(document, ours)
	if err != nil {
		return err
	}
	writeBody(w, status, jsonType, noStore, body)
	return nil
}

func writeBody(w http.ResponseWriter, status int, mediaType, cacheControl string, body []byte) {
	setHeaders(w.Header(), field{"Content-Type", mediaType}, field{"Cache-Control", cacheControl}, field{"Content-Length", strconv.Itoa(len(body))})
	w.WriteHeader(status)
	// A client that went away before its answer is not a failure of ours.
	_, _ = w.Write(body) //nolint:gosec // G705: no answer is HTML, and browsers are told not to sniff
}

// field is a header, its name in its canonical form (see [http.CanonicalHeaderKey]).
type field struct{ name, value string }

// setHeaders is [http.Header.Set] for several headers, with one allocation for all of
// them.
func setHeaders(h http.Header, fields ...field) {
	values := make([]string, len(fields))
	for i, f := range fields {
		values[i] = f.value
		h[f.name] = values[i : i+1 : i+1]
	}
}

func writeNoContent(w http.ResponseWriter) error {
	w.Header().Set("Cache-Control", noStore)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type revokedDocument struct {
	Revoked int64 `json:"revoked"`
}
