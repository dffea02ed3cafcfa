package sessionhttp

import (
	"context"
	"net/http"
	"sync"
)

// handed is what the managers of one request hand to its client, whatever happens to the
// handler's response: new tokens, or their removal. A response that replaces the handler's
// has them too, or the client would be left with those of an ended session.
type handed struct {
	mu   sync.Mutex
	of   map[any]func(http.Header)
	late bool // a response has begun
}

type handedKey struct{}

// handedOf returns the request's, which its outermost manager made, or nil.
func handedOf(ctx context.Context) *handed {
	h, _ := ctx.Value(handedKey{}).(*handed)
	return h
}

// put replaces what the manager handed over before. It reports whether the response can
// have it.
func (h *handed) put(manager any, answer func(http.Header)) bool {
	if h == nil || answer == nil {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == nil {
		h.of = map[any]func(http.Header){}
	}
	h.of[manager] = answer
	return !h.late
}

// isTooLate reports whether a response has begun.
func (h *handed) isTooLate() bool {
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.late
}

func (h *handed) write(header http.Header) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late = true
	for _, answer := range h.of {
		answer(header)
	}
}

// hand puts tokens into the header of a response, or removes them from the client. It reports
// whether the response can have them. Below a manager, the header gets them when the response
// begins: until then the handler may be using it in another goroutine.
func (m *Manager[T]) hand(ctx context.Context, header http.Header, answer func(http.Header)) bool {
	if tokens := handedOf(ctx); tokens != nil {
		return tokens.put(m, answer)
	}
	answer(header)
	return true
}
