package sessionhttp_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Goroutines of a handler change, renew, begin and end a session at once, while its answer goes out or a
// time-out answers for it: no header is written from two of them (go test -race), and a later login
// succeeds.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	store := memstore.MustNew(sessionstore.Config{})
	sessions := sessionhttp.New[cart](store, sessionhttp.Config{Transport: sessionhttp.Cookies{}, Optional: true})
	s := site{nil, sessions}
	var under sync.WaitGroup
	busy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, session := r.Context(), sessions.From(r.Context())
		under.Go(func() { _, _, _ = sessions.Begin(w, r, cart{}, sessionstore.CreateParams{}) })
		under.Go(func() { _ = sessions.End(w, r) })
		under.Go(func() { _ = session.Update(ctx, put("milk")) })
		under.Go(func() { _, _ = session.Renew(ctx, sessionstore.CreateParams{}) })
		under.Go(func() { _ = session.End(ctx) })
		if r.Method == http.MethodPut {
			<-ctx.Done()
		}
	})
	chain := sessions.Handler(http.TimeoutHandler(busy, 5*time.Millisecond, ""))
	for range 50 {
		for _, method := range []string{http.MethodGet, http.MethodPut} {
			ann := browser{}
			ann.open(t, s, http.MethodPost)
			ann.keep(ann.send(t, chain, method))
			ann.open(t, s, http.MethodPost)
			if got := ann.open(t, s, http.MethodGet); got != "200 tea" {
				t.Fatalf("after a login: %s", got)
			}
		}
	}
	under.Wait()
}
