package soak_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// TestSoakShards is the soak with sessions on several databases, which are killed, stopped, drained, added and moved to
// another server while everyone is at work: sessions of a database that is down get 503 and no others do, nobody is logged
// out who is not robbed, every theft is reported, no token of a session that has ended is accepted past the bound, and
// lists are complete or 503.
func TestSoakShards(t *testing.T) {
	t.Parallel()
	soakOnShards(t, wantedOfShards, func(s *soak) *shards {
		sh := newShards(s)
		for range shardsAtFirst + 1 {
			server := testdb.NewServer(t)
			sh.servers, sh.urls, sh.pools = append(sh.servers, server), append(sh.urls, server.URL()), append(sh.pools, server.Pool())
		}
		if testdb.CanDump(t) {
			sh.spare = testdb.NewServer(t)
		}
		return sh
	})
}

// TestSoakShardsOnCitus is the same where the shards are distributed schemas of one cluster, which moves them from one of its
// nodes to another and back while they are written to. The cluster itself stays.
func TestSoakShardsOnCitus(t *testing.T) {
	t.Parallel()
	if !testdb.HasCitus() {
		t.Skip("TEST_CITUS_URL names no Citus cluster")
	}
	soakOnShards(t, wantedOnCitus, func(s *soak) *shards {
		sh := newShards(s)
		sh.urls = testdb.CitusURLs(t, shardsAtFirst+1)
		for _, url := range sh.urls {
			sh.pools = append(sh.pools, newPool(t, url))
		}
		return sh
	})
}

func soakOnShards(t *testing.T, wanted map[string]int, on func(*soak) *shards) {
	t.Helper()
	machine.Lock()
	defer machine.Unlock()
	if deadline, ok := t.Deadline(); ok && time.Until(deadline) < *soakShards+overtime+endPatience {
		t.Fatalf("-soak.shards %v does not fit into the test's time: run with -timeout 0", *soakShards)
	}
	watchSources(t)
	s := newSoak(t, *soakShards, maps.Clone(wanted))
	t.Logf("-soak.shards %v -soak.seed %d -soak.clients %d -soak.skew %v", *soakShards, s.seed, *soakClients, *soakSkew)
	s.setUpShards(on(s))
	s.stormOnShards()
	s.calm()
	s.shards.awaitAll()
	s.shards.awaitSignOuts()
	s.drain()
	s.checkClients()
	s.checkHeists()
	s.checkLeavers()
	s.shards.checkLists()
	s.stopServices()
	for _, what := range s.missing() {
		t.Errorf("too little happened: %s", what)
	}
	s.logGenerations()
	t.Logf("what happened:%s", s.tally)
	s.shards.logMoves()
}

const (
	shardKilled, shardStopped         = "broken: shard killed", "broken: shard stopped"
	shardDrained, shardAdded          = "shards: drained", "shards: added"
	shardMoved, shardMovedOnCitus     = "shards: moved to another server", "shards: moved to another node"
	told503, toldOthers               = "shards: 503 of the one that is down", "shards: others answered meanwhile"
	listed, notListed                 = "shards: complete lists", "shards: no list without the one that is down"
	signedOut, startedWithout         = "shards: a sign-out was finished later", "shards: a service started without the first"
	endedBeforeAMove, endedAfterAMove = "shards: a session that ended before a move stayed so", "shards: a session that ended after a move was refused in time"
	firstShard, shardsAtFirst         = 0, 3
	databaseOfShard, keySecret        = "west", "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
)

var wantedOfShards = map[string]int{
	"refresh: rotated": 1, "refresh: still_fresh": 1, "logouts": 1, "network: answer lost": 1, "broken: service": 1,
	"thefts: old": 1, "thefts: stale": 1,
	shardKilled: 1, shardStopped: 1, shardDrained: 1, shardAdded: 1, shardMoved: 1, endedBeforeAMove: 1, endedAfterAMove: 1,
	told503: 5, toldOthers: 5, notListed: 1,
	startedWithout: 1, "edge: refused in time": 1, "edge: accepted by a verifier": 1, clockJumped + "service's": 1,
}

var wantedOnCitus = map[string]int{
	"refresh: rotated": 1, "refresh: still_fresh": 1, "logouts": 1, "network: answer lost": 1, "broken: service": 1,
	"thefts: old": 1, "thefts: stale": 1,
	shardDrained: 1, shardAdded: 1, shardMovedOnCitus: 2, endedBeforeAMove: 2, endedAfterAMove: 2,
	"edge: refused in time": 1, "edge: accepted by a verifier": 1, clockJumped + "service's": 1,
}

// shards are the databases that sessions are spread over. All that is done to them one goroutine does.
type shards struct {
	soak    *soak
	servers []*testdb.Server // nil on Citus; the last one is not added at first
	spare   *testdb.Server   // a shard is moved to it; nil for none
	urls    []string         // the last one is not added at first
	weights []float64
	file    string // of LATCHKEY_SHARDS
	dice    *rand.Rand
	probes  []pair // a session on each, or none
	robbed  []pair // to be signed out once their shards are back
	moves   []move

	mu      sync.Mutex
	pools   []*pgxpool.Pool     // the test's own look at the rows
	created map[string][]string // sessions by subject, which a client has received
}

func newShards(s *soak) *shards {
	return &shards{soak: s, weights: []float64{1, 1, 1}, file: filepath.Join(s.t.TempDir(), "shards"), dice: s.dice("shards"), created: map[string][]string{}}
}

// areOnCitus reports whether they are distributed schemas, if there are any shards.
func (sh *shards) areOnCitus() bool { return sh != nil && sh.servers == nil }

func (sh *shards) pool(shard int) *pgxpool.Pool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.pools[shard]
}

// allPools are those of the shards that were added.
func (sh *shards) allPools() []*pgxpool.Pool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return slices.Clone(sh.pools[:len(sh.weights)])
}

func newPool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func (s *soak) setUpShards(sh *shards) {
	s.t.Helper()
	s.shards = sh
	if !sh.areOnCitus() && sh.spare == nil {
		s.t.Log("without PostgreSQL's programs no shard is moved to another server")
		for _, what := range []string{shardMoved, endedBeforeAMove, endedAfterAMove} {
			delete(s.wanted, what)
		}
	}
	s.hook = newReceiver(s)
	settings := testservice.OnDatabase(s.t, sh.urls[firstShard]).With(testservice.Env{
		"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0", "LATCHKEY_SHARDS_FILE": sh.file,
		"LATCHKEY_KEY_ENCRYPTION_KEY": keySecret,
		"LATCHKEY_REFRESH_GRACE":      grace.String(), "LATCHKEY_ACCESS_TOKEN_TTL": accessTokenTTL.String(), "LATCHKEY_CLEANUP_INTERVAL": "5s",
		"LATCHKEY_LEAK_WEBHOOK_URL": s.hook.URL, "LATCHKEY_LEAK_WEBHOOK_SECRET": webhookSecret,
	})
	sh.write()
	sh.migrate(settings)
	s.logs = newLogbook(s, settings)
	s.services = []*service{startService(s, "a", settings, *soakSkew), startService(s, "b", settings, -*soakSkew)}
	s.await("services", s.allReady)
	s.edges = []*edge{startEdge(s, edgeSkew), startEdge(s, -edgeSkew)}
	for i := range *soakClients {
		s.users = append(s.users, signInUser(s, i))
	}
	sh.probe()
}

func (sh *shards) migrate(settings testservice.Env) {
	testservice.Run(sh.soak.t, sh.soak.t.TempDir(), settings, "migrate")
}

// write writes the setting, of which services take the weights when they start.
func (sh *shards) write() {
	sh.soak.t.Helper()
	sh.writeTo(sh.file)
}

func (sh *shards) writeTo(file string) {
	sh.soak.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "first:%g\n", sh.weights[firstShard])
	for i, w := range sh.weights[1:] {
		fmt.Fprintf(&b, "%s%d:%g=%s\n", databaseOfShard, i+1, w, sh.urls[i+1])
	}
	next := file + ".next"
	if err := os.WriteFile(next, []byte(b.String()), 0o600); err != nil {
		sh.soak.t.Fatal(err)
	}
	if err := os.Rename(next, file); err != nil {
		sh.soak.t.Fatal(err)
	}
}

// roll restarts the services in turn.
func (sh *shards) roll() {
	for i, v := range sh.soak.services {
		sh.soak.await("service "+v.name, func() bool { public, _ := v.addresses(); return public != "" })
		sh.soak.end(i, syscall.SIGTERM, "broken: service stopped")
		sh.soak.await("service "+v.name+" again", func() bool { public, _ := v.addresses(); return public != "" })
	}
}

// ask sends a request to one service, whatever the network is like, and takes an answer for one only if the service
// was there for the whole of it.
func (sh *shards) ask(v *service, method, at, bearer string) (answer, bool) {
	s := sh.soak
	ctx, cancel := context.WithTimeout(s.t.Context(), endPatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, at, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	public, internal := v.addresses()
	to := public
	if r.URL.Host == "internal" {
		to = internal
	}
	a := s.network.forward(r, to)
	still, _ := v.addresses()
	return a, public != "" && still == public && a.status != 0
}

// signInOn signs a new subject in on a shard, if it takes sessions.
func (sh *shards) signInOn(shard int, name string) (pair, bool) {
	s := sh.soak
	if sh.weights[shard] == 0 {
		return pair{}, false
	}
	began := time.Now()
	for n := 0; n < 200 || time.Since(began) < endPatience; n++ { // its home may have gone to others while it was away
		subject := fmt.Sprint(name, " ", n)
		c := newClient(s, subject, "probe")
		var p pair
		if v := s.persist(func(ctx context.Context) (v verdict) {
			p, v = c.signInFor(ctx, subject, lasting)
			return v
		}); v != accepted {
			s.t.Errorf("%s: %s", subject, v)
			return pair{}, false
		}
		if sessionid.Shard(uuid.MustParse(p.session)) == shard {
			sh.note(subject, p.session)
			return p, true
		}
	}
	s.t.Errorf("nobody's home is the shard %d", shard)
	return pair{}, false
}

// probe makes a session on each shard that takes some.
func (sh *shards) probe() {
	for shard := len(sh.probes); shard < len(sh.weights); shard++ {
		p, _ := sh.signInOn(shard, fmt.Sprint("probe ", shard))
		sh.probes = append(sh.probes, p)
	}
}

func (sh *shards) note(subject, session string) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.created[subject] = append(sh.created[subject], session)
}

// forget has no list expect a session that is about to end.
func (sh *shards) forget(session string) {
	subject := sh.subjectOf(session)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.created, subject)
}

func (s *soak) stormOnShards() {
	s.began = time.Now()
	s.network.calm.Store(false)
	s.hook.calm.Store(false)
	var clients, others sync.WaitGroup
	for _, u := range s.users {
		for _, tab := range u.tabs {
			clients.Go(tab.live)
		}
	}
	others.Go(s.rob)
	others.Go(s.leave)
	others.Go(s.leaveTheEdge)
	others.Go(s.shards.gather)
	others.Go(s.setOtherClocks)
	s.shards.chaos()
	clients.Wait()
	s.network.calm.Store(true)
	s.hook.calm.Store(true)
	others.Wait()
}

// chaos does one thing to the shards after the other until the storm ends.
func (sh *shards) chaos() {
	s := sh.soak
	steps := []func(){func() { s.killOne(sh.dice) }, sh.drain, sh.add}
	if sh.areOnCitus() {
		steps = append(steps, sh.moveNode, sh.moveNode)
	} else {
		steps = append(steps,
			func() { sh.lose(firstShard, (*testdb.Server).Kill, shardKilled) },
			func() { sh.lose(1+sh.dice.IntN(len(sh.weights)-1), (*testdb.Server).Kill, shardKilled) },
			func() { sh.lose(sh.dice.IntN(len(sh.weights)), (*testdb.Server).Stop, shardStopped) },
		)
	}
	if sh.spare != nil {
		steps = append(steps, sh.moveServer)
	}
	for i := 0; s.pause(between(sh.dice, 200*time.Millisecond, time.Second)); i++ {
		if i%len(steps) == 0 {
			sh.dice.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
		}
		s.breathe()
		steps[i%len(steps)]()
	}
}

// lose stops one shard, checks all of them, and starts it again.
func (sh *shards) lose(shard int, end func(*testdb.Server), as string) {
	s := sh.soak
	sh.awaitAll() // so that nothing else is broken
	victim, robbed := sh.signInOn(shard, fmt.Sprint("victim of ", shard, " at ", time.Since(s.began)))
	end(sh.servers[shard])
	s.tally.add(as)
	for began := time.Now(); time.Since(began) < between(sh.dice, 300*time.Millisecond, 1200*time.Millisecond); time.Sleep(50 * time.Millisecond) {
		sh.lookAt(shard)
	}
	subject := sh.subjectOf(victim.session)
	if robbed {
		sh.forget(victim.session)
		sh.failToSignOut(subject)
	}
	if shard == firstShard && s.services[0].signal(syscall.SIGKILL) {
		v := s.services[0]
		s.await("a service without the first shard", func() bool { public, _ := v.addresses(); return public != "" })
		sh.lookAt(shard)
		s.tally.add(startedWithout)
	}
	sh.servers[shard].Start()
	if robbed {
		sh.robbed = append(sh.robbed, victim)
	}
}

// awaitSignOuts waits for the end of those sessions whose sign-out could not reach them.
func (sh *shards) awaitSignOuts() {
	s := sh.soak
	if len(sh.robbed) == 0 && !sh.areOnCitus() {
		s.t.Error("no sign-out had to be finished later")
	}
	for _, victim := range sh.robbed {
		c := newClient(s, "after "+victim.session, "leaver")
		s.await("the end of a sign-out", func() bool {
			ctx, cancel := context.WithTimeout(s.t.Context(), patience)
			defer cancel()
			return c.use(ctx, victim) == refused
		})
		s.tally.add(signedOut)
	}
}

// allUp reports whether each service reaches all shards.
func (sh *shards) allUp() bool {
	for _, v := range sh.soak.services {
		for _, p := range sh.probes {
			if a, ok := sh.ask(v, http.MethodGet, publicURL+"/v1/me/sessions/current", p.Access); p.session != "" && (!ok || a.status != http.StatusOK) {
				return false
			}
		}
	}
	return true
}

// awaitAll waits until each service reaches all shards.
func (sh *shards) awaitAll() {
	sh.soak.t.Helper()
	sh.soak.await("all shards", sh.allUp)
}

// lookAt asks each service about a session of each shard while one is down.
func (sh *shards) lookAt(down int) {
	s := sh.soak
	for _, v := range s.services {
		for shard, p := range sh.probes {
			a, ok := sh.ask(v, http.MethodGet, publicURL+"/v1/me/sessions/current", p.Access)
			switch {
			case !ok, p.session == "":
			case shard == down && a.status == http.StatusServiceUnavailable:
				s.tally.add(told503)
			case shard != down && a.status == http.StatusOK:
				s.tally.add(toldOthers)
			default:
				s.t.Errorf("while the shard %d was down, service %s answered for a session of the shard %d: %d %s", down, v.name, shard, a.status, a.body)
			}
		}
		if a, ok := sh.ask(v, http.MethodGet, internalURL+"/v1/sessions?subject=anyone", testservice.Key); ok && a.status != http.StatusServiceUnavailable {
			s.t.Errorf("while the shard %d was down, service %s listed: %d %s", down, v.name, a.status, a.body)
		} else if ok {
			s.tally.add(notListed)
		}
	}
}

func (sh *shards) subjectOf(session string) string {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for subject, sessions := range sh.created {
		if slices.Contains(sessions, session) {
			return subject
		}
	}
	return ""
}

// failToSignOut signs a subject out everywhere while one of its sessions is out of reach.
func (sh *shards) failToSignOut(subject string) {
	s := sh.soak
	for began := time.Now(); s.worthwhile(began); time.Sleep(50 * time.Millisecond) {
		v := s.services[sh.dice.IntN(len(s.services))]
		a, ok := sh.ask(v, http.MethodDelete, internalURL+"/v1/sessions?subject="+url.QueryEscape(subject), testservice.Key)
		switch {
		case !ok:
			continue
		case a.status != http.StatusServiceUnavailable:
			s.t.Errorf("a sign-out that could not reach a shard: %d %s", a.status, a.body)
		}
		return
	}
}

// drain has a shard take no new sessions for a while. Its sessions continue.
func (sh *shards) drain() {
	s := sh.soak
	shard := sh.dice.IntN(len(sh.weights))
	was := sh.weights[shard]
	sh.weights[shard] = 0
	sh.write()
	sh.roll()
	c := newClient(s, "drain", "probe")
	for n := range 5 {
		subject := fmt.Sprint("drained ", shard, " ", n)
		if v := s.persist(func(ctx context.Context) (v verdict) {
			p, v := c.signIn(ctx, subject)
			if v == accepted && sessionid.Shard(uuid.MustParse(p.session)) == shard {
				s.t.Errorf("a session was created on the shard %d, which is drained", shard)
			}
			return v
		}); v != accepted {
			s.t.Errorf("sign in while a shard is drained: %s", v)
		}
	}
	if a, ok := sh.ask(s.services[0], http.MethodGet, publicURL+"/v1/me/sessions/current", sh.probes[shard].Access); ok && sh.probes[shard].session != "" && a.status != http.StatusOK {
		s.t.Errorf("a session on the shard %d, which is drained: %d %s", shard, a.status, a.body)
	}
	sh.weights[shard] = max(was, 1)
	sh.write()
	sh.roll()
	s.tally.add(shardDrained)
}

// add adds the last shard, in the steps of docs/scale.md.
func (sh *shards) add() {
	s := sh.soak
	if len(sh.weights) == len(sh.urls) {
		return
	}
	sh.mu.Lock()
	sh.weights = append(sh.weights, 0)
	sh.mu.Unlock()
	added := sh.file + ".added" // a service that starts meanwhile must not know it yet
	sh.writeTo(added)
	sh.migrate(s.services[0].settings.With(testservice.Env{"LATCHKEY_SHARDS_FILE": added}))
	sh.write()
	sh.roll()
	sh.weights[len(sh.weights)-1] = 1
	sh.write()
	sh.roll()
	sh.probe()
	s.tally.add(shardAdded)
}

// gather signs the same subjects in again and again, so that they have sessions on several shards.
func (sh *shards) gather() {
	s := sh.soak
	c := newClient(s, "gatherer", "backend")
	dice := s.dice("gatherer")
	for n := 0; s.pause(between(dice, 50*time.Millisecond, 300*time.Millisecond)); n++ {
		subject := fmt.Sprint("gatherer ", n%4)
		ctx, cancel := context.WithTimeout(s.t.Context(), patience)
		if p, v := c.signIn(ctx, subject); v == accepted {
			sh.note(subject, p.session)
		}
		cancel()
	}
}

// checkLists makes sure that lists have all sessions that a client has received, whichever shard they are on.
func (sh *shards) checkLists() {
	s := sh.soak
	several := 0
	for subject, sessions := range sh.created {
		var found []string
		for cursor, more := "", true; more; more = cursor != "" {
			at := internalURL + "/v1/sessions?limit=100&subject=" + url.QueryEscape(subject) + "&cursor=" + url.QueryEscape(cursor)
			if cursor == "" {
				at = strings.TrimSuffix(at, "&cursor=")
			}
			a, ok := sh.ask(s.services[0], http.MethodGet, at, testservice.Key)
			var page struct {
				Sessions []struct {
					ID string `json:"id"`
				} `json:"sessions"`
				Next string `json:"next_cursor"`
			}
			if err := json.Unmarshal(a.body, &page); err != nil || !ok || a.status != http.StatusOK {
				s.t.Fatalf("list %s: %d %s", subject, a.status, a.body)
			}
			for _, session := range page.Sessions {
				found = append(found, session.ID)
			}
			cursor = page.Next
		}
		on := map[int]bool{}
		for _, session := range sessions {
			on[sessionid.Shard(uuid.MustParse(session))] = true
			if !slices.Contains(found, session) {
				s.t.Errorf("the list of %s lacks the session %s", subject, session)
			}
		}
		if len(on) > 1 {
			several++
		}
		s.tally.add(listed)
	}
	if several == 0 {
		s.t.Error("no subject had sessions on several shards")
	}
}

// leaveTheEdge signs in, logs out, and holds the edge to the bound.
func (s *soak) leaveTheEdge() {
	dice := s.dice("edge leavers")
	for n := 0; s.pause(between(dice, 0, time.Second)); n++ {
		l := &leaver{name: fmt.Sprint("edge leaver ", n)}
		l.client = newClient(s, l.name, "leaver")
		if !l.signIn(s) {
			continue
		}
		last := l.pairs[1]
		for range 3 {
			ctx, cancel := context.WithTimeout(s.t.Context(), patience)
			s.anyEdge(dice).verify(ctx, last)
			cancel()
		}
		if !l.logOut(s) {
			continue
		}
		s.tally.add("logouts")
		s.holdTheEdge(l.name, l.client, last, dice)
	}
}

// holdTheEdge presents a token whose session has ended just now, until it has been refused for a while, and returns how often
// it was refused.
func (s *soak) holdTheEdge(name string, c *client, p pair, dice *rand.Rand) (refusals int) {
	for ended := time.Now(); time.Since(ended) < 2*verifier.DefaultBound; time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(s.t.Context(), patience)
		began := time.Now()
		var v verdict
		if dice.IntN(2) == 0 {
			v = c.list(ctx, p)
		} else {
			v = s.anyEdge(dice).verify(ctx, p)
		}
		cancel()
		switch {
		case v == refused:
			s.tally.add("edge: refused in time")
			refusals++
		case v == accepted && began.After(ended.Add(verifier.DefaultBound)):
			s.believed(name, p)
		}
	}
	return refusals
}
