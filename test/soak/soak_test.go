// Package soak_test runs the built service while everything around it fails, and holds it to its promises: no user is
// logged out who was not robbed; every theft is reported, once; no token is accepted once its session has ended, at the
// edge once the bound has passed; and no fault of ours is anything but a 503.
//
// Two processes serve on one PostgreSQL. No two clocks agree, neither theirs nor those of the verifiers at the edge,
// and all of them jump. Requests and answers are lost, delayed, doubled and cut off on their way; processes are killed
// and replaced, by SIGKILL and in order; the database is killed, stopped and started, its connections are cut, and its
// address leads to a standby for a while; the receiver of the leak reports fails and hangs. Honest clients keep to what
// the protocol assumes of them and nothing else: apps with several tabs, browsers whose server renders the pages, and
// users of Compas. Thieves present stolen tokens in ways whose outcome the protocol fixes. Subjects with thousands of
// sessions are signed out everywhere while they are at work. A situation that has not occurred often enough fails the
// run as well.
//
// It takes 12 seconds, or until everything has happened that it is about, and then as long as the queue needs for what the
// last kill interrupted, up to a minute or so:
//
//	go test -race ./test/soak
//
// For longer, and to see what happened (the seed repeats the dice, not how the processes interleave):
//
//	go test -race -v -timeout 0 ./test/soak -soak.for 10m [-soak.shards 10m] [-soak.seed N] [-soak.clients N] [-soak.clock 90s] [-soak.skew 1h]
package soak_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

var (
	soakFor     = flag.Duration("soak.for", 12*time.Second, "how long everything fails")
	soakSeed    = flag.Uint64("soak.seed", 0, "seed of all dice; 0: a new one")
	soakShards  = flag.Duration("soak.shards", 12*time.Second, "how long databases that sessions are spread over fail")
	soakClients = flag.Int("soak.clients", 40, "honest clients")
	soakClock   = flag.Duration("soak.clock", -20*time.Second, "how far the database's clock is ahead of the test's")
	soakSkew    = flag.Duration("soak.skew", 3*time.Minute, "how far the services' clocks are off from the test's at most, either way")
)

const (
	// grace is short, so that a run has many generations.
	grace = time.Second
	// fresh is how long a pair lives at least.
	fresh          = 3 * grace
	accessTokenTTL = fresh + time.Second
	lateRetryLimit = 8
	// patience is the clients' time-out for a request and its answer. The protocol requires it to be below the grace;
	// what is left of that is for a busy machine.
	patience = 3 * grace / 4

	heistsAtOnce = 4
	// overtime is for how much longer a storm lasts at most where something has not happened yet that the run is about: a
	// busy machine, or a database that the dice had down for most of the time.
	overtime = 3 * time.Minute
)

// endPatience is how long anything may take once nothing fails any more. The queue is the slowest: it takes a job over
// whose process was killed, and the pauses between attempts double.
const endPatience = 5 * time.Minute

// machine is had by one run after the other.
var machine sync.Mutex

func TestSoak(t *testing.T) {
	t.Parallel()
	machine.Lock()
	defer machine.Unlock()
	if deadline, ok := t.Deadline(); ok && time.Until(deadline) < *soakFor+overtime+endPatience+time.Minute {
		t.Fatalf("-soak.for %v does not fit into the test's time: run with -timeout 0", *soakFor)
	}
	watchSources(t)
	s := setup(t)

	s.storm()
	s.calm()
	s.checkClocks()
	s.drain()
	s.checkClients()
	s.checkHeists()
	s.checkLeavers()
	s.stopServices()
	s.checkTally()
}

// soak is one run.
type soak struct {
	t        *testing.T
	seed     uint64
	tally    *tally
	lasts    time.Duration  // the storm
	wanted   map[string]int // what it is about, and how often that has to happen at least
	shards   *shards        // nil: one database
	clock    *testdb.Clock  // the database's; nil: the machine's
	off      time.Duration  // by how much that is ahead of the machine's, but for the jump
	servers  *testdb.Replicated
	address  *testdb.Address // by which the services know the database
	pool     *pgxpool.Pool   // the test's own look at the rows
	standby  *pgxpool.Pool
	logs     *logbook
	hook     *receiver
	services []*service
	began    time.Time   // the storm's beginning
	broken   atomic.Bool // a service has gone for good
	network  *network
	edges    []*edge
	users    []*user
	heists   registry[*heist]
	leavers  registry[*leaver]
}

func newSoak(t *testing.T, lasts time.Duration, wanted map[string]int) *soak {
	t.Helper()
	s := &soak{t: t, seed: *soakSeed, tally: newTally(), lasts: lasts, wanted: wanted}
	if s.seed == 0 {
		s.seed = rand.Uint64()
	}
	s.network = &network{soak: s, transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	t.Cleanup(s.network.transport.CloseIdleConnections)
	s.network.calm.Store(true)
	return s
}

// setup starts the services and signs the honest clients in.
func setup(t *testing.T) *soak {
	t.Helper()
	s := newSoak(t, *soakFor, wanted)
	s.clock = testdb.NewClock(t, *soakClock)
	if s.clock != nil {
		s.off = *soakClock
	}
	t.Logf("-soak.for %v -soak.seed %d -soak.clients %d -soak.clock %v -soak.skew %v", *soakFor, s.seed, *soakClients, *soakClock, *soakSkew)
	s.servers = testdb.NewReplicatedBy(t, s.clock)
	s.address = testdb.NewAddress(t, s.servers.Primary)
	s.pool, s.standby = s.servers.Primary.Pool(), s.servers.Standby.Pool()
	s.hook = newReceiver(s)
	settings := s.settings()
	s.logs = newLogbook(s, settings)
	s.services = []*service{startService(s, "a", settings, *soakSkew), startService(s, "b", settings, -*soakSkew)}
	s.await("services", s.allReady)
	s.edges = []*edge{startEdge(s, edgeSkew), startEdge(s, -edgeSkew)}
	s.checkClocks()
	for i := range *soakClients {
		s.users = append(s.users, signInUser(s, i))
	}
	return s
}

func (s *soak) settings() testservice.Env {
	s.t.Helper()
	return testservice.OnDatabase(s.t, s.address.URL(s.servers.Primary)).With(testservice.Env{
		"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0",
		"LATCHKEY_REFRESH_GRACE": grace.String(), "LATCHKEY_ACCESS_TOKEN_TTL": accessTokenTTL.String(), "LATCHKEY_CLEANUP_INTERVAL": "5s",
		"LATCHKEY_LEAK_WEBHOOK_URL": s.hook.URL, "LATCHKEY_LEAK_WEBHOOK_SECRET": webhookSecret, "LATCHKEY_COMPAS_SIGNING_KEY": compasKey,
	})
}

// dice returns a source of chance for one goroutine.
func (s *soak) dice(who string) *rand.Rand {
	seed := [32]byte{}
	copy(seed[:], who)
	for i := range 8 {
		seed[24+i] = byte(s.seed >> (8 * i))
	}
	return rand.New(rand.NewChaCha8(seed))
}

// storm makes everything fail for a while, and returns when all clients have completed the operations they had begun.
func (s *soak) storm() {
	s.began = time.Now()
	s.network.calm.Store(false)
	s.hook.calm.Store(false)
	var clients, others sync.WaitGroup
	for _, u := range s.users {
		for _, tab := range u.tabs {
			clients.Go(func() { tab.live() })
		}
	}
	others.Go(s.rob)
	others.Go(s.leave)
	others.Go(s.signOutCrowds)
	others.Go(s.setClock)
	others.Go(s.setOtherClocks)
	s.chaos()
	clients.Wait()
	s.network.calm.Store(true)
	s.hook.calm.Store(true)
	others.Wait()
}

func (s *soak) calm() {
	s.t.Helper()
	s.await("services", s.allReady)
}

func (s *soak) allReady() bool {
	for _, v := range s.services {
		if public, _ := v.addresses(); public == "" {
			return false
		}
	}
	return true
}

func (s *soak) await(what string, done func() bool) {
	s.t.Helper()
	for began := time.Now(); !done(); time.Sleep(50 * time.Millisecond) {
		if !s.worthwhile(began) {
			s.t.Fatalf("%s: not after %v", what, time.Since(began))
		}
	}
}

// worthwhile reports whether to continue trying.
func (s *soak) worthwhile(began time.Time) bool {
	return time.Since(began) < endPatience && !s.broken.Load()
}

// left is how long the storm continues.
func (s *soak) left() time.Duration {
	lasts := s.lasts
	if len(s.missing()) > 0 {
		lasts += overtime
	}
	return lasts - time.Since(s.began)
}

// breathe makes failures rarer as long as something is missing when the storm should have ended: on a busy machine, or
// one that takes long to start a database again, clients may get nothing done from one failure to the next.
func (s *soak) breathe() {
	const share = 4
	over := time.Since(s.began) - s.lasts
	end := time.Now().Add(over / share)
	for s.left() > 0 && time.Now().Before(end) {
		time.Sleep(50 * time.Millisecond)
	}
}

// pause returns false when the storm ended first.
func (s *soak) pause(d time.Duration) bool {
	left := s.left()
	time.Sleep(min(d, left))
	return d < left
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// between returns a time from low to high.
func between(dice *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(dice.Int64N(int64(high-low)))
}

// registry gathers what several goroutines add.
type registry[T any] struct {
	mu   sync.Mutex
	list []T
}

func (r *registry[T]) add(v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, v)
}

func (r *registry[T]) all() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list
}
