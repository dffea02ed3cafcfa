package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
)

// usualBodyBytes is the length up to which room for a body is allocated at the start. A caller that
// announces more must send it first.
const usualBodyBytes = 4 << 10

// readAll is [io.ReadAll] into room, of which more is made where it is needed. It takes no more
// than limit bytes, whatever was announced: [http.MaxBytesReader] would be one allocation more.
func readAll(r io.Reader, room []byte, limit int64) ([]byte, error) {
	for {
		if len(room) == cap(room) {
			room = slices.Grow(room, bytes.MinRead)
		}
		n, err := r.Read(room[len(room):cap(room)])
		room = room[:len(room)+n]
		switch {
		case int64(len(room)) > limit:
			return nil, &http.MaxBytesError{Limit: limit}
		case errors.Is(err, io.EOF):
			return room, nil
		case err != nil:
			return nil, err
		}
	}
}

func checkBody(h http.Header, mediaType string) error {
	if !hasMediaType(h, mediaType) {
		return &problem{code: codeUnsupportedMediaType, detail: "The Content-Type must be " + mediaType + "."}
	}
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return &problem{code: codeUnsupportedMediaType, detail: "The body may not have a Content-Encoding."}
	}
	return nil
}

// refusedBody makes a problem of an error of [readAll], nil of none.
func refusedBody(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); err == nil || tooLarge || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	if hungUp(err) {
		return &problem{code: codeClientClosedRequest}
	}
	return &problem{code: codeMalformedBody, detail: "It cannot be read to its end."}
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
