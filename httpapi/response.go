package httpapi

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
)

const noStore = "no-store"

// writeJSON answers with a JSON document that nothing may keep (RFC 6749 §5.1,
// and sessions are nobody's business but the caller's).
func writeJSON(w http.ResponseWriter, status int, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", noStore)
	writeBody(w, status, "application/json", body)
	return nil
}

func writeBody(w http.ResponseWriter, status int, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// A client that went away before its answer is not a failure of ours.
	_, _ = w.Write(body) //nolint:gosec // G705: no answer is HTML, and browsers are told not to sniff
}

func writeNoContent(w http.ResponseWriter) error {
	w.Header().Set("Cache-Control", noStore)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type revokedDocument struct {
	Revoked int64 `json:"revoked"`
}
