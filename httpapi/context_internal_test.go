package httpapi

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
)

type otherKey struct{}

// A request's context is that of its server with its notes and its route, and says nothing of
// the notes where it is printed.
func TestRequestContext(t *testing.T) {
	t.Parallel()
	server, cancel := context.WithCancel(context.WithValue(t.Context(), otherKey{}, "the server's"))
	route := chi.NewRouteContext()
	c := &requestContext{Context: server, info: requestInfo{serviceKey: "the-key", id: "the-id"}, route: route}
	limited, done := context.WithTimeout(c, time.Hour)
	defer done()
	for name, ctx := range map[string]context.Context{"itself": c, "one made from it": limited} {
		if info, ok := ctx.Value(requestInfoKey{}).(*requestInfo); !ok || info != &c.info {
			t.Errorf("%s has other notes: %v", name, info)
		}
		if chi.RouteContext(ctx) != route || ctx.Value(otherKey{}) != "the server's" {
			t.Errorf("%s has not what it is made of", name)
		}
		if text := fmt.Sprintf("%v %+v %s", ctx, ctx, ctx); strings.Contains(text, "the-") {
			t.Errorf("%s is printed as %s", name, text)
		}
	}
	cancel()
	select {
	case <-limited.Done():
	case <-time.After(time.Minute):
		t.Error("a context made from it outlives the server's")
	}
}
