package sessionhttp

import (
	"context"
	"errors"
	"net/http"
)

// errNotStored is what a handler gets that goes on writing a response which
// was replaced by an error.
var errNotStored = errors.New("the session data could not be stored: the response is dropped")

// responseWriter stores the session's data before the response begins.
type responseWriter struct {
	http.ResponseWriter
	request *http.Request
	save    func(context.Context) error
	fail    func(error)
	begun   bool
	failed  bool
}

// begin stores the data once; if that fails, the error is the response.
func (w *responseWriter) begin() {
	if w.begun {
		return
	}
	w.begun = true
	if err := w.save(w.request.Context()); err != nil {
		w.failed = true
		for _, about := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Location"} {
			w.Header().Del(about) // it was about the response that is dropped
		}
		w.fail(err)
	}
}

// WriteHeader stores the data first. Informational responses (1xx) pass.
func (w *responseWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.begin()
	}
	if !w.failed {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write stores the data first.
func (w *responseWriter) Write(p []byte) (int, error) {
	w.begin()
	if w.failed {
		return 0, errNotStored
	}
	return w.ResponseWriter.Write(p)
}

// FlushError stores the data first: flushing begins the response.
// [http.ResponseController] looks for this method.
func (w *responseWriter) FlushError() error {
	w.begin()
	if w.failed {
		return errNotStored
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is FlushError for handlers that ask for an [http.Flusher].
func (w *responseWriter) Flush() { _ = w.FlushError() }

// Unwrap lets [http.ResponseController] reach what is not wrapped here.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
