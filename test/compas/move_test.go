package compas_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// client is an honest client: its tabs share one store, and the last answer written wins.
type client struct {
	mu              sync.Mutex
	access, refresh string
}

func (c *client) tokens() (access, refresh string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.access, c.refresh
}

func (c *client) write(access, refresh string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.access, c.refresh = access, refresh
}

// Clients refresh in two tabs each, lose answers and retry, while Compas is killed in the middle of its work and
// the service takes over. Nobody is logged out.
func TestMoveUnderLoad(t *testing.T) {
	t.Parallel()
	const (
		clients = 16
		tabs    = 2
		before  = 3 * time.Second
		after   = 16 * time.Second
	)
	c := startCompas(t)
	all := make([]*client, clients)
	for i := range all {
		p := c.signIn(map[string]any{"client": i})
		all[i] = &client{access: p.Access, refresh: p.Refresh}
	}
	c.migrate()
	s := c.startService(testservice.Env{"LATCHKEY_REFRESH_GRACE": "2s"})

	var moved, done atomic.Bool
	var theirs, ours, lost atomic.Int64
	var working sync.WaitGroup
	tab := func(own *client) error {
		for !done.Load() {
			time.Sleep(time.Duration(50+rand.IntN(250)) * time.Millisecond)
			access, refresh := own.tokens()
			isLost := rand.IntN(4) == 0
			if !moved.Load() {
				var p pair
				switch key := c.call("refresh", refresh, &p); {
				case key == ended: // killed: the answer is lost
				case key != "":
					return fmt.Errorf("compas: %s", key)
				case !isLost:
					own.write(p.Access, p.Refresh)
				}
				theirs.Add(1)
				continue
			}
			if rand.IntN(2) == 0 {
				s.introspect(access) // it may have been replaced meanwhile
			}
			status, answer := s.refresh(refresh)
			switch {
			case status != http.StatusOK:
				return fmt.Errorf("a client is logged out: %d %s", status, answer.Error)
			case isLost:
				lost.Add(1)
			default:
				own.write(answer.Access, answer.Refresh)
			}
			ours.Add(1)
		}
		return nil
	}
	for i, own := range all {
		for range tabs {
			working.Go(func() {
				if err := tab(own); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			})
		}
	}
	time.Sleep(before)
	moved.Store(true)
	c.kill()
	time.Sleep(after)
	done.Store(true)
	working.Wait()

	for i, own := range all {
		_, refresh := own.tokens()
		answer := s.mustRefresh(refresh)
		if !s.introspect(answer.Access).Active {
			t.Errorf("client %d: its tokens are not good", i)
		}
	}
	if n := c.count(`SELECT count(*) FROM "sessionStore" WHERE "revokedAt" IS NOT NULL`); n != 0 {
		t.Errorf("%d sessions were revoked", n)
	}
	if n := c.count(`SELECT max("generation") FROM "sessionStoreToken"`); n < 2 {
		t.Errorf("the pairs are in generation %d at most", n)
	}
	t.Logf("%d refreshes by Compas, %d by the service, %d answers of it lost", theirs.Load(), ours.Load(), lost.Load())
}
