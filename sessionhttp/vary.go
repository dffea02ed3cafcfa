package sessionhttp

import (
	"net/http"
	"strings"
)

// varying is a [Transport] that caches do not know of: they keep no answer to a request with an Authorization
// header for others (RFC 9111 §3.5), but any other header is nothing to them.
type varying interface {
	// Vary is the name of the request header that has the tokens.
	Vary() string
}

// vary tells caches that the answer depends on whose tokens a request has, or that it has none.
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
