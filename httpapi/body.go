package httpapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
)

// readBody returns the body of a request if it has the media type and no more
// than limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, mediaType string, limit int64) ([]byte, error) {
	if !hasMediaType(r.Header, mediaType) {
		return nil, &problem{code: codeUnsupportedMediaType, detail: "The Content-Type must be " + mediaType + "."}
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, &problem{code: codeUnsupportedMediaType, detail: "The body may not have a Content-Encoding."}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		return nil, &problem{code: codeMalformedBody, detail: "It ended early."}
	}
	return body, nil
}

// hasMediaType wants exactly one Content-Type, in UTF-8 if it names a charset.
func hasMediaType(h http.Header, want string) bool {
	values := h.Values("Content-Type")
	if len(values) != 1 {
		return false
	}
	got, parameters, err := mime.ParseMediaType(values[0])
	if err != nil || got != want {
		return false
	}
	charset, has := parameters["charset"]
	return !has || strings.EqualFold(charset, "utf-8")
}
