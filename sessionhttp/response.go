package sessionhttp

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
)

// errNotStored is what a handler gets if it continues writing a response that
// was replaced by an error.
var errNotStored = errors.New("the session data could not be stored: the response is dropped")

// responseWriter stores the session's data before the response begins.
type responseWriter struct {
	http.ResponseWriter
	// begin stores the data.
	begin func(status int) error
	// hand adds to the header what the client gets whatever happens to the handler's response.
	hand   func(http.Header)
	fail   func(error)
	before http.Header // what was set when the handler was called

	mu     sync.Mutex
	begun  bool
	handed bool // hand was called
	failed bool
}

// start stores the data once; if that fails, the error is the response. It reports
// whether the handler's response may continue.
func (w *responseWriter) start(status int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun {
		return !w.failed
	}
	err := w.begin(status) // if it panics, the response has not begun: a recoverer may answer
	w.begun = true
	if err != nil {
		clear(w.Header()) // it described the response that is dropped
		maps.Copy(w.Header(), w.before)
	}
	w.hand(w.Header())
	w.handed = true
	if err != nil {
		w.failed = true
		w.fail(err)
	}
	return !w.failed
}

// abandon leaves the response to whatever recovers the panic of the handler, or of a repeated
// change. That response hands over what the handler's would have.
func (w *responseWriter) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.handed {
		return
	}
	w.begun, w.failed = true, true
	_ = w.begin(http.StatusInternalServerError) // it stores nothing
	w.hand(w.Header())
}

// WriteHeader stores the data first. Informational responses (1xx) pass, except for 101,
// which is final.
func (w *responseWriter) WriteHeader(status int) {
	informational := status < http.StatusOK && status != http.StatusSwitchingProtocols
	if informational || w.start(status) {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write stores the data first.
func (w *responseWriter) Write(p []byte) (int, error) {
	if !w.start(http.StatusOK) {
		return 0, errNotStored
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom stores the data before the first byte, and not at all if there is none: a handler
// whose source fails at once can still report it. A file is sent as fast as without the
// middleware.
func (w *responseWriter) ReadFrom(r io.Reader) (int64, error) {
	var first int64
	if !w.hasBegun() {
		var err error
		if first, err = w.readFirst(r); first == 0 || err != nil {
			return first, err
		}
	}
	if !w.start(http.StatusOK) {
		return first, errNotStored
	}
	rest, err := io.Copy(w.ResponseWriter, r)
	return first + rest, err
}

func (w *responseWriter) hasBegun() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.begun
}

// readFirst passes on what the first read yields.
func (w *responseWriter) readFirst(r io.Reader) (int64, error) {
	buffer := make([]byte, 512) // as much as net/http inspects to detect the type
	for {
		n, err := r.Read(buffer)
		if n > 0 {
			n, errWrite := w.Write(buffer[:n])
			return int64(n), cmp.Or(errWrite, ignoreEOF(err))
		}
		if err != nil {
			return 0, ignoreEOF(err)
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// FlushError stores the data first: flushing begins the response, if it can be flushed.
// [http.ResponseController] looks for this method.
func (w *responseWriter) FlushError() error {
	if w.reaches(canFlush) && !w.start(http.StatusOK) {
		return errNotStored
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is FlushError for handlers that require an [http.Flusher].
func (w *responseWriter) Flush() { _ = w.FlushError() }

// Hijack stores the data first: whatever is sent on the connection is the response. Over
// HTTP/2, where nothing can be hijacked, the handler must still answer.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.reaches(canHijack) && !w.start(http.StatusSwitchingProtocols) {
		return nil, nil, errNotStored
	}
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// reaches reports whether the wrapped writer has a capability, ignoring other managers' wrappers,
// which have every method.
func (w *responseWriter) reaches(can func(http.ResponseWriter) bool) bool {
	inner := w.ResponseWriter
	for {
		if _, ours := inner.(*responseWriter); !ours && can(inner) {
			return true
		}
		wrapper, is := inner.(interface{ Unwrap() http.ResponseWriter })
		if !is {
			return false
		}
		inner = wrapper.Unwrap()
	}
}

func canHijack(w http.ResponseWriter) bool {
	_, can := w.(http.Hijacker)
	return can
}

func canFlush(w http.ResponseWriter) bool {
	switch w.(type) {
	case http.Flusher, interface{ FlushError() error }:
		return true
	}
	return false
}

// Unwrap lets [http.ResponseController] reach methods that are not wrapped here.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
