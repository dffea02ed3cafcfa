package sessionstore_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

var (
	appetiteLive    = flag.Int("appetite.live", 3000, "how many live sessions the first subject of TestAppetite has")
	appetiteExpired = flag.Int("appetite.expired", 2000, "how many expired sessions its second subject has")
	appetiteTime    = flag.Duration("appetite.time", 0, "for how long it measures; zero for a while, without a verdict on times")
)

// pause is how long a client does something else between two requests.
const pause = 20 * time.Millisecond

// crowd are users whose requests are answered alongside those of others.
type crowd struct {
	stores []*sessionstore.Store
	users  int
}

// serve makes each user sign in, refresh and use their token, at leisure, until ctx ends. It returns how
// long each answer took.
func (c crowd) serve(ctx context.Context, t *testing.T) map[string][]time.Duration {
	t.Helper()
	took := map[string][]time.Duration{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for user := range c.users {
		all.Go(func() {
			store, subject := c.stores[user%len(c.stores)], uuid.NewString()
			time.Sleep(pause * time.Duration(user) / time.Duration(c.users)) // not all at once
			var pair sessionstore.TokenPair
			for n := 0; ctx.Err() == nil; n++ {
				name, do := "create", func() (err error) { //nolint:contextcheck // what has begun is not cut off
					_, pair, err = store.Create(t.Context(), sessionstore.CreateParams{Subject: subject})
					return err
				}
				switch n % 8 {
				case 0:
				case 1, 4:
					name, do = "refresh", func() error { //nolint:contextcheck // see above
						got, err := store.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
						pair = got.Pair
						return err
					}
				default:
					name, do = "introspect", func() error { //nolint:contextcheck // see above
						_, _, err := store.Get(t.Context(), string(pair.AccessToken))
						return err
					}
				}
				began := time.Now()
				if err := do(); err != nil {
					t.Errorf("%s of someone else: %v", name, err)
					return
				}
				mu.Lock()
				took[name] = append(took[name], time.Since(began))
				mu.Unlock()
				time.Sleep(pause)
			}
		})
	}
	all.Wait()
	return took
}

// glutton is a subject with very many sessions that requests everything at once.
type glutton struct {
	stores  []*sessionstore.Store
	subject string

	signedOut, revoked, listed, created atomic.Int64
}

// feed signs out everywhere forty times at once, lists and signs in, until ctx ends.
func (g *glutton) feed(ctx context.Context, t *testing.T) {
	t.Helper()
	var all sync.WaitGroup
	repeat := func(n int, count *atomic.Int64, do func(ctx context.Context, store *sessionstore.Store) error) {
		for i := range n {
			all.Go(func() {
				for ctx.Err() == nil {
					switch err := do(ctx, g.stores[i%len(g.stores)]); {
					case err == nil:
						count.Add(1)
					case ctx.Err() == nil:
						t.Errorf("%s: %v", g.subject, err)
						return
					}
					time.Sleep(pause)
				}
			})
		}
	}
	repeat(40, &g.signedOut, func(ctx context.Context, store *sessionstore.Store) error {
		const deadline = 10 * time.Second // of a request
		ctx, cancel := context.WithTimeout(ctx, deadline)
		defer cancel()
		n, err := store.InvalidateSubject(ctx, g.subject, uuid.Nil)
		g.revoked.Add(n)
		if errors.Is(err, context.DeadlineExceeded) {
			return nil // it is sent again
		}
		return err
	})
	repeat(2, &g.listed, func(ctx context.Context, store *sessionstore.Store) error {
		_, err := store.List(context.WithoutCancel(ctx), g.subject, sessionstore.ListParams{}) // what has begun is not cut off
		return err
	})
	repeat(4, &g.created, func(ctx context.Context, store *sessionstore.Store) error {
		const deadline = 10 * time.Second
		ctx, cancel := context.WithTimeout(ctx, deadline)
		defer cancel()
		_, _, err := store.Create(ctx, sessionstore.CreateParams{Subject: g.subject})
		if errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		return err
	})
	all.Wait()
}

// Whatever subjects with very many sessions, live or merely expired, request is done,
// and fails no other caller. With -appetite.time the test also measures that no other
// caller waits for more than twice as long as without them:
//
//	go test ./sessionstore -run TestAppetite -v -appetite.time 1m -appetite.live 500000 -appetite.expired 300000
func TestAppetite(t *testing.T) { //nolint:paralleltest // it measures
	if *appetiteTime == 0 {
		t.Parallel()
	}
	const replicas, connections = 2, 10
	turns := 2
	if *appetiteTime > 0 {
		turns = 8
	}
	cfg := limited(10, sessionstore.EndOldest)
	k := setupFast(t, cfg)
	k.fill(t, "spender", 0, *appetiteLive)
	k.fill(t, "hoarder", *appetiteExpired, 0)
	var stores []*sessionstore.Store
	for range replicas {
		stores = append(stores, k.onPool(t, connections, cfg).Store)
	}
	users := crowd{stores: stores, users: 10}
	gluttons := []*glutton{{stores: stores, subject: "spender"}, {stores: stores, subject: "hoarder"}}

	turn := max(*appetiteTime/time.Duration(2*turns), 100*time.Millisecond)
	var without, beside []map[string][]time.Duration
	for range turns { // by turns, because a machine's speed varies
		quiet, stop := context.WithTimeout(t.Context(), turn)
		without = append(without, users.serve(quiet, t))
		stop()
		busy, stop := context.WithTimeout(t.Context(), turn)
		var eating sync.WaitGroup
		for _, g := range gluttons {
			eating.Go(func() { g.feed(busy, t) })
		}
		beside = append(beside, users.serve(busy, t))
		eating.Wait()
		stop()
	}
	for _, name := range []string{"create", "refresh", "introspect"} {
		a, b := newTimes(without, name), newTimes(beside, name)
		t.Logf("%s by everyone else: %v without, %v with it", name, a, b)
		if *appetiteTime > 0 && b.p99 > 2*a.p99 {
			t.Errorf("%s: p99 is %v with it, %v without", name, b.p99, a.p99)
		}
	}
	for _, g := range gluttons {
		t.Logf("%s: signed out everywhere %d times, %d sessions; %d pages listed, %d sessions created, %d sessions left",
			g.subject, g.signedOut.Load(), g.revoked.Load(), g.listed.Load(), g.created.Load(),
			k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "subject" = $1 AND "revokedAt" IS NULL`, g.subject))
		if g.listed.Load() == 0 {
			t.Errorf("%s was never answered", g.subject)
		}
		if _, err := stores[0].InvalidateSubject(t.Context(), g.subject, uuid.Nil); err != nil {
			t.Errorf("%s: %v", g.subject, err)
		}
		if n := k.count(t, liveCount, g.subject); n != 0 {
			t.Errorf("%s has %d sessions after a sign-out everywhere", g.subject, n)
		}
	}
}

// times sums up how long answers took.
type times struct {
	n                int
	median, p99, max time.Duration
}

func newTimes(turns []map[string][]time.Duration, name string) times {
	var all []time.Duration
	for _, turn := range turns {
		all = append(all, turn[name]...)
	}
	slices.Sort(all)
	if len(all) == 0 {
		return times{}
	}
	return times{len(all), all[len(all)/2], all[len(all)*99/100], all[len(all)-1]}
}

func (t times) String() string {
	const precision = 10 * time.Microsecond
	return fmt.Sprintf("p50 %v, p99 %v, at most %v (%d)", t.median.Round(precision), t.p99.Round(precision), t.max.Round(precision), t.n)
}
