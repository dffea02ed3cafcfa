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
	mu sync.Mutex
	of map[any]func(http.Header)
}

type handedKey struct{}

// handedOf returns that of the request, which its outermost manager has made, or nil.
func handedOf(ctx context.Context) *handed {
	h, _ := ctx.Value(handedKey{}).(*handed)
	return h
}

// put takes the place of what the manager handed over before.
func (h *handed) put(manager any, answer func(http.Header)) {
	if h == nil || answer == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == nil {
		h.of = map[any]func(http.Header){}
	}
	h.of[manager] = answer
}

func (h *handed) write(header http.Header) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, answer := range h.of {
		answer(header)
	}
}

// hand puts tokens into the header of an answer, or takes them from the client.
func (m *Manager[T]) hand(ctx context.Context, header http.Header, answer func(http.Header)) {
	handedOf(ctx).put(m, answer)
	answer(header)
}
