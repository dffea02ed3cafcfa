package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// watcher is an observer that records its calls.
type watcher struct {
	mu      sync.Mutex
	lines   []string
	strange bool // a request ended that had not begun
}

type watched struct{}

func (o *watcher) Begin(_ string, r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), watched{}, true))
}

func (o *watcher) End(r *http.Request, a httpapi.Answer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = append(o.lines, fmt.Sprintf("%s %s %s %d %s", a.Listener, a.Method, a.Route, a.Status, a.Problem))
	o.strange = o.strange || r.Context().Value(watched{}) == nil || a.Duration <= 0
}

// below notes the contexts in which the store works.
type below struct {
	mu       sync.Mutex
	contexts []bool
}

func (o *below) Begin(ctx context.Context, _ sessionstore.Operation) context.Context {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.contexts = append(o.contexts, ctx.Value(watched{}) != nil)
	return ctx
}

func (*below) End(context.Context, sessionstore.Result) {}

func TestObserversAreTold(t *testing.T) {
	t.Parallel()
	above, under := &watcher{}, &below{}
	s := setup(t, func(cfg *httpapi.Config, store *sessionstore.Config) {
		cfg.Observers = []httpapi.Observer{above}
		store.Observers = []sessionstore.Observer{under}
	})
	session := s.create(t, "ann")
	s.internal(t, "GET", "/v1/sessions/"+session.id).want(t, 200)
	s.refresh(t, "nonsense").want(t, 400)
	s.public(t, "GET", "/made-up").want(t, 404)
	s.public(t, "BREW", "/v1/me/sessions").want(t, 405)
	s.public(t, "HEAD", "/.well-known/jwks.json").want(t, 200)

	if diff := cmp.Diff([]string{
		"internal POST /v1/sessions 201 ",
		"internal GET /v1/sessions/{id} 200 ",
		"public POST /oauth2/token 400 invalid_grant",
		"public GET none 404 route_not_found",
		"public other none 405 method_not_allowed",
		"public HEAD /.well-known/jwks.json 200 ",
	}, above.lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if above.strange {
		t.Error("a request that ended had another context than it began with, or took no time")
	}
	if len(under.contexts) < 2 || slices.Contains(under.contexts, false) {
		t.Errorf("the store does not work in the context of the request: %v", under.contexts)
	}
}

// Without a key, and on the internal listener only.
func TestMetricsRoute(t *testing.T) {
	t.Parallel()
	with := setup(t)
	if got := with.do(t, with.server.Internal(), "GET", "/metrics").want(t, 200).body; string(got) != "up 1\n" {
		t.Errorf("%q", got)
	}
	with.public(t, "GET", "/metrics").wantProblem(t, 404, "route_not_found")

	without := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.Metrics = nil })
	without.internal(t, "GET", "/metrics").wantProblem(t, 404, "route_not_found")
}
