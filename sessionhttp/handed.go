package sessionhttp

import (
	"context"
	"net/http"
	"sync"
)

// handed is what the managers of one request hand to its client, whatever becomes of the
// handler's response: new tokens, or none any more. An answer that takes the place of the
// handler's has them too, or the client would be left with those of a session that has ended.
type handed struct {
	mu   sync.Mutex
	of   map[any]func(http.Header)
	late bool // an answer has begun
}

type handedKey struct{}

// handedOf returns that of the request, which its outermost manager has made, or nil.
func handedOf(ctx context.Context) *handed {
	h, _ := ctx.Value(handedKey{}).(*handed)
	return h
}

// put takes the place of what the manager handed over before. It reports whether the answer can
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

// isTooLate reports whether an answer has begun.
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

// hand puts tokens into the header of an answer, or takes them from the client. It reports whether
// the answer can have them. Behind a manager the header gets them when the answer begins: until then
// the handler may be busy with it, in another goroutine.
func (m *Manager[T]) hand(ctx context.Context, header http.Header, answer func(http.Header)) bool {
	if tokens := handedOf(ctx); tokens != nil {
		return tokens.put(m, answer)
	}
	answer(header)
	return true
}
