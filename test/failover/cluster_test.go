//go:build linux

package failover_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const (
	// lookPause leaves the processor to what is observed.
	lookPause = 100 * time.Millisecond
	// rejoinPatience is how long a standby may take until it streams.
	rejoinPatience = 40 * time.Second

	password = "only-this-test-has-it"
	database = "postgres"
)

// cluster is three nodes and the etcd that they agree by.
type cluster struct {
	t     *testing.T // who looks at it
	nodes []*node
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		t.Fatalf("Debian's PostgreSQL is not installed: apt install postgresql (%v)", err)
	}
	client, peer := freeAddress(t), freeAddress(t)
	start(t, place(t, nil), "etcd", "--data-dir", "data", "--unsafe-no-fsync", "--name", "etcd",
		"--listen-client-urls", "http://"+client, "--advertise-client-urls", "http://"+client,
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer, "--initial-cluster", "etcd=http://"+peer)
	c := &cluster{t: t}
	for i := range 3 {
		c.nodes = append(c.nodes, newNode(t, fmt.Sprint("node", i+1), client, found[len(found)-1]))
	}
	c.awaitWhole()
	return c
}

// url leads to the nodes that are given, or to all.
func (c *cluster) url(nodes ...*node) string {
	if len(nodes) == 0 {
		nodes = c.nodes
	}
	var hosts []string
	for _, n := range nodes {
		hosts = append(hosts, n.listen)
	}
	return databaseURL(strings.Join(hosts, ","))
}

func databaseURL(hosts string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", password), Host: hosts, Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// primary waits for the one node that calls itself the primary.
func (c *cluster) primary() (primary *node) {
	c.t.Helper()
	testservice.Await(c.t, "a primary", func() bool {
		var found []*node
		for _, n := range c.nodes {
			if n.isPrimary(c.t.Context()) {
				found = append(found, n)
			}
		}
		if len(found) != 1 {
			pause(c.t.Context(), lookPause)
			return false
		}
		primary = found[0]
		return true
	})
	return primary
}

// standbyOf is a node that is neither of the given ones.
func (c *cluster) standbyOf(others ...*node) *node {
	return c.nodes[slices.IndexFunc(c.nodes, func(n *node) bool { return !slices.Contains(others, n) })]
}

// awaitWhole waits until there is a primary, and the others stream from it. One that cannot, because its history has
// diverged, is rebuilt, as an operator would.
func (c *cluster) awaitWhole() {
	c.t.Helper()
	began := time.Now()
	testservice.Await(c.t, "three nodes, two of which repeat the third", func() bool {
		primary := c.primary()
		for _, n := range c.nodes {
			if n == primary || n.answers(c.t.Context(), "/replica?lag=1MB") && c.streams(primary, n) {
				continue
			}
			if time.Since(began) > rejoinPatience {
				began = time.Now()
				status := c.ask(n, http.MethodPost, "/reinitialize", map[string]any{"force": true})
				c.t.Logf("%s does not stream: to make it anew is answered with %d", n.name, status)
			}
			pause(c.t.Context(), lookPause)
			return false
		}
		return true
	})
}

// streams reports whether a primary sends its changes to a standby.
func (c *cluster) streams(primary, standby *node) (yes bool) {
	ctx, cancel := context.WithTimeout(c.t.Context(), restTimeout)
	defer cancel()
	conn, err := connect(ctx, c.url(primary))
	if err != nil {
		return false
	}
	defer conn.Close(ctx) //nolint:errcheck // it was asked
	const query = `SELECT EXISTS (SELECT FROM pg_stat_replication WHERE "state" = 'streaming' AND "application_name" = $1)`
	return conn.QueryRow(ctx, query, standby.name).Scan(&yes) == nil && yes
}

// switchOver makes another node take over, as an operator would, retrying if Patroni refuses. It returns once that is
// done.
func (c *cluster) switchOver() {
	c.t.Helper()
	before := c.primary()
	for primary := before; primary == before; primary = c.primary() {
		if status := c.ask(before, http.MethodPost, "/switchover", map[string]any{"leader": before.name}); status != http.StatusOK {
			c.t.Logf("Patroni answers the switchover with %d", status)
			pause(c.t.Context(), time.Second)
		}
	}
}

// synchronous has commits wait for a standby, or not.
func (c *cluster) synchronous(on bool) {
	c.t.Helper()
	primary := c.primary()
	if status := c.ask(primary, http.MethodPatch, "/config", map[string]any{"synchronous_mode": on}); status != http.StatusOK {
		c.t.Fatalf("Patroni answers %d", status)
	}
	testservice.Await(c.t, "the mode", func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), restTimeout)
		defer cancel()
		conn, err := connect(ctx, c.url(primary))
		if err != nil {
			return false
		}
		defer conn.Close(ctx) //nolint:errcheck // it was asked
		var names string
		return conn.QueryRow(ctx, `SHOW synchronous_standby_names`).Scan(&names) == nil && (names != "") == on
	})
}

// ask sends a request to a node's Patroni, and returns the status of the answer, or 0.
func (c *cluster) ask(n *node, method, path string, body any) int {
	c.t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+n.rest+path, bytes.NewReader(content))
	if err != nil {
		c.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Log(err)
		return 0
	}
	_ = answer.Body.Close() // the status says it
	return answer.StatusCode
}
