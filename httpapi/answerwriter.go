package httpapi

import "net/http"

// answerWriter notes what is answered, for the log and for observers. It is a part of the request's notes, so it needs
// no separate allocation.
type answerWriter struct {
	http.ResponseWriter

	status int // 0 until there is one
	bytes  int
}

// WriteHeader implements [http.ResponseWriter]. Only the first status counts. Informational ones do not, except the one
// that switches the connection to another protocol.
func (a *answerWriter) WriteHeader(status int) {
	if informs := status < http.StatusOK && status != http.StatusSwitchingProtocols; !informs {
		if a.status != 0 {
			return
		}
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answerWriter) Write(body []byte) (int, error) {
	a.begin()
	n, err := a.ResponseWriter.Write(body)
	a.bytes += n
	return n, err
}

// FlushError is for [http.ResponseController], which finds everything else by Unwrap.
func (a *answerWriter) FlushError() error {
	a.begin()
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Flush is FlushError for handlers that ask for an [http.Flusher].
func (a *answerWriter) Flush() { _ = a.FlushError() }

// Unwrap is for [http.ResponseController].
func (a *answerWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answerWriter) begin() {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
}
