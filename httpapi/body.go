package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
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
	body, err := readAll(http.MaxBytesReader(w, r.Body, limit), r.ContentLength)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		if hungUp(err) {
			return nil, &problem{code: codeClientClosedRequest}
		}
		return nil, &problem{code: codeMalformedBody, detail: "It cannot be read to its end."}
	}
	return body, nil
}

// usualBodyBytes is the length up to which room for a body is allocated at the start. A caller
// that announces more must send it first.
const usualBodyBytes = 4 << 10

// readAll is [io.ReadAll] for a body that may or may not be as long as announced.
func readAll(r io.Reader, announced int64) ([]byte, error) {
	body := bytes.NewBuffer(make([]byte, 0, min(max(announced, 0), usualBodyBytes)+bytes.MinRead))
	_, err := body.ReadFrom(r)
	return body.Bytes(), err
}

// hungUp distinguishes a connection that ended within the body from a body that violates HTTP. The
// request's context does not: net/http watches the connection only once the body has been read.
func hungUp(err error) bool {
	_, broken := errors.AsType[net.Error](err)
	return broken || errors.Is(err, io.ErrUnexpectedEOF)
}

// hasMediaType requires exactly one Content-Type, in UTF-8 if it names a charset.
func hasMediaType(h http.Header, want string) bool {
	values := h.Values("Content-Type")
	if len(values) != 1 || values[0] == want {
		return len(values) == 1
	}
	got, parameters, err := mime.ParseMediaType(values[0])
	if err != nil || got != want {
		return false
	}
	charset, has := parameters["charset"]
	return !has || strings.EqualFold(charset, "utf-8")
}
