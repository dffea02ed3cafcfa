package httpapi

import (
	"bytes"
	"net/http"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const noStore = "no-store"

// ours keeps the encoder from checking for duplicate members: our documents have none,
// and stored data was checked before.
var ours = jsontext.AllowDuplicateNames(true)

// bodies are buffers for answers.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// mostKeptBytes is the capacity of the largest buffer that is kept: few answers are longer.
const mostKeptBytes = 16 << 10

// writeJSON answers with a JSON document that must not be cached (RFC 6749 §5.1, and
// sessions concern only the caller). Of a document that is not passed
// by pointer the encoder makes a copy.
func writeJSON(w http.ResponseWriter, status int, document any) error {
	body, _ := bodies.Get().(*bytes.Buffer)
	body.Reset()
	if err := json.MarshalWrite(body, document, ours); err != nil {
		return err
	}
	writeBody(w, status, jsonType, noStore, body.Bytes())
	if body.Cap() <= mostKeptBytes {
		bodies.Put(body)
	}
	return nil
}

// ownLengthBytes is from which length on a body's length is said here: net/http says that of a
// shorter one by itself.
const ownLengthBytes = 2 << 10

func writeBody(w http.ResponseWriter, status int, mediaType, cacheControl string, body []byte) {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = values(mediaType), values(cacheControl)
	if len(body) >= ownLengthBytes {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	w.WriteHeader(status)
	// A client that went away before its answer is not a failure of ours.
	_, _ = w.Write(body)
}

func etagOf(checksum string) string { return `"` + checksum + `"` }

// setETag omits the header if there is no version to show.
func setETag(h http.Header, checksum string) {
	if checksum != "" {
		h.Set("ETag", etagOf(checksum))
	}
}

// Values of headers that most answers have. They are shared: what is added to one, as
// [http.Header.Add] does it, makes another list.
var (
	isJSON     = []string{jsonType}
	isNotKept  = []string{noStore}
	noCache    = []string{"no-cache"}
	noSniff    = []string{"nosniff"}
	noContent  = []string{"default-src 'none'; frame-ancestors 'none'"}
	noReferrer = []string{"no-referrer"}
	byAccept   = []string{"Accept"}
)

// values is the list of one value for a header.
func values(value string) []string {
	switch value {
	case jsonType:
		return isJSON
	case noStore:
		return isNotKept
	}
	return []string{value}
}

func writeNoContent(w http.ResponseWriter) error {
	w.Header().Set("Cache-Control", noStore)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type revokedDocument struct {
	Revoked int64 `json:"revoked"`
}
