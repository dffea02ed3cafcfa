//go:build linux

package failover_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const haproxySettings = `
defaults
  mode tcp
  maxconn 500
  timeout connect 1s
  timeout client 30m
  timeout server 30m
  timeout check 1s
listen postgres
  bind %s
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 500ms fall 2 rise 2 on-marked-down shutdown-sessions
`

// startHAProxy puts a balancer in front of the nodes that queries the Patroni of each, and returns its
// address.
func startHAProxy(t *testing.T, c *cluster) string {
	t.Helper()
	address := freeAddress(t)
	settings := fmt.Sprintf(haproxySettings, address)
	for _, n := range c.nodes {
		_, port, _ := strings.Cut(n.rest, ":")
		settings += fmt.Sprintf("  server %s %s check port %s\n", n.name, n.listen, port)
	}
	start(t, place(t, map[string]string{"haproxy.cfg": settings}), "haproxy", "-db", "-f", "haproxy.cfg")
	// Until its first check it takes all nodes for primaries, in turn.
	testservice.Await(t, "the balancer", func() bool {
		for range 2 * len(c.nodes) {
			if !takesWrites(t.Context(), databaseURL(address)) {
				return false
			}
		}
		return true
	})
	return address
}

const pgbouncerSettings = `[databases]
* = host=127.0.0.1 port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = scram-sha-256
auth_file = users.txt
pool_mode = transaction
default_pool_size = 20
server_login_retry = 1
server_connect_timeout = 2
max_client_conn = 200
`

// startPgBouncer puts a pooler in transaction mode before an address, and returns its own.
func startPgBouncer(t *testing.T, before string) string {
	t.Helper()
	address := freeAddress(t)
	_, port, _ := strings.Cut(address, ":")
	_, to, _ := strings.Cut(before, ":")
	dir := place(t, map[string]string{
		"pgbouncer.ini": fmt.Sprintf(pgbouncerSettings, to, port), "users.txt": fmt.Sprintf("%q %q\n", "postgres", password),
	})
	start(t, dir, "pgbouncer", "pgbouncer.ini")
	return address
}

// name is an address that leads wherever it was pointed to last, as a name in the DNS does: what is connected stays so.
type name struct {
	address string
	to      atomic.Pointer[node]
}

func newName(t *testing.T, to *node) *name {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	n := &name{address: listener.Addr().String()}
	n.to.Store(to)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go n.lead(conn)
		}
	}()
	return n
}

func (n *name) lead(from net.Conn) {
	defer from.Close()                                                   //nolint:errcheck // both ends know
	to, err := net.DialTimeout("tcp", n.to.Load().listen, 2*time.Second) //nolint:noctx // it has a time-out
	if err != nil {
		return
	}
	defer to.Close() //nolint:errcheck // both ends know
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1]) // both ends know
			done <- struct{}{}
		}()
	}
	<-done
}
