package httpapi

import (
	"context"
	"net/http"
	"sync"
)

// streams knows which servers have streams, which must end when their server
// shuts down: it would wait for them.
type streams struct {
	mu      sync.Mutex
	servers map[*http.Server]context.Context
}

// endWith arranges for cancel to be called when the request's server shuts down,
// until the returned function is called.
func (s *streams) endWith(r *http.Request, cancel context.CancelFunc) (forget func() bool) {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return func() bool { return false }
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	running, known := s.servers[server] //nolint:contextcheck // the context is the server's
	if !known {
		var end context.CancelFunc
		running, end = context.WithCancel(context.WithoutCancel(r.Context()))
		server.RegisterOnShutdown(end)
		if s.servers == nil {
			s.servers = make(map[*http.Server]context.Context)
		}
		s.servers[server] = running
	}
	return context.AfterFunc(running, cancel)
}
