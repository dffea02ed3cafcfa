package sessionhttp

import (
	"net/http"
	"strings"
)

// varying is a [Transport] whose header caches do not know: they do not reuse a response to a request with an
// Authorization header (RFC 9111 §3.5), but any other header means nothing to them.
type varying interface {
	// Vary is the name of the request header that has the tokens.
	Vary() string
}

// vary marks the response as depending on the tokens that a request has, or on their absence.
func (m *Manager[T]) vary(header http.Header) {
	transport, is := m.cfg.Transport.(varying)
	if !is {
		return
	}
	name := transport.Vary()
	for _, value := range header["Vary"] {
		for listed := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(listed), name) {
				return
			}
		}
	}
	header.Add("Vary", name)
}
