//go:build linux

package failover_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const restTimeout = time.Second

var restClient = &http.Client{Timeout: restTimeout}

// node is a PostgreSQL with its Patroni: what dies with a machine.
type node struct {
	t                       *testing.T
	name, dir, rest, listen string
	patroni                 *process
}

const patroniSettings = `
scope: latchkey
name: %[1]s
restapi: {listen: "%[2]s", connect_address: "%[2]s"}
etcd3: {hosts: ["%[4]s"]}
bootstrap:
  dcs:
    ttl: 10
    loop_wait: 1
    retry_timeout: 3
    maximum_lag_on_failover: 1048576
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters: {max_connections: 100, shared_buffers: 16MB, wal_keep_size: 128MB}
  initdb: [{encoding: UTF8}, {locale: C.UTF-8}, data-checksums, {auth-local: trust}, {auth-host: scram-sha-256}]
postgresql:
  listen: "%[3]s"
  connect_address: "%[3]s"
  data_dir: %[7]s
  bin_dir: %[5]s
  pgpass: pgpass
  pg_hba: [local all all trust, host all all 127.0.0.1/32 scram-sha-256, host replication all 127.0.0.1/32 scram-sha-256]
  authentication:
    superuser: {username: postgres, password: %[6]s}
    replication: {username: replicator, password: %[6]s}
    rewind: {username: rewinder, password: %[6]s}
  parameters: {unix_socket_directories: ""}
watchdog: {mode: "off"}
`

func newNode(t *testing.T, name, etcd, programs string) *node {
	t.Helper()
	n := &node{t: t, name: name, rest: freeAddress(t), listen: freeAddress(t)}
	n.dir = place(t, nil)
	settings := fmt.Sprintf(patroniSettings, name, n.rest, n.listen, etcd, programs, password, filepath.Join(n.dir, "data"))
	if err := os.WriteFile(filepath.Join(n.dir, "patroni.yml"), []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // what Patroni has left
		for n.postmaster() != 0 {
			n.signal(syscall.SIGKILL)
			time.Sleep(10 * time.Millisecond)
		}
	})
	n.start()
	return n
}

func (n *node) start() {
	n.t.Helper()
	n.patroni = start(n.t, n.dir, "patroni", "patroni.yml")
}

// isPrimary reports whether Patroni calls the node the primary, as balancers ask.
func (n *node) isPrimary(ctx context.Context) bool {
	return n.answers(ctx, "/primary")
}

func (n *node) answers(ctx context.Context, path string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.rest+path, nil)
	if err != nil {
		return false
	}
	answer, err := restClient.Do(r)
	if err != nil {
		return false
	}
	_ = answer.Body.Close() // nothing was read
	return answer.StatusCode == http.StatusOK
}

// postmaster is the process id of PostgreSQL, or 0.
func (n *node) postmaster() int {
	content, err := os.ReadFile(filepath.Join(n.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil || !n.isOurs(pid) {
		return 0
	}
	return pid
}

// isOurs reports whether a process is the node's PostgreSQL, and not one that was given the number since.
func (n *node) isOurs(pid int) bool {
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	return err == nil && cwd == filepath.Join(n.dir, "data")
}

// processes are the ids of all that runs on the node: Patroni, PostgreSQL, and what that has started.
func (n *node) processes() []int {
	pids := []int{n.patroni.cmd.Process.Pid}
	pid := n.postmaster()
	if pid == 0 {
		return pids
	}
	pids = append(pids, pid)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return pids
	}
	for text := range strings.FieldsSeq(string(children)) {
		if child, err := strconv.Atoi(text); err == nil && n.isOurs(child) {
			pids = append(pids, child)
		}
	}
	return pids
}

// signal reaches all that runs on the node. It is sent twice: PostgreSQL may just have started something.
func (n *node) signal(s syscall.Signal) {
	for range 2 {
		for _, pid := range n.processes() {
			_ = syscall.Kill(pid, s) // it may have ended
		}
	}
}

// kill ends the node as when its machine loses power.
func (n *node) kill() {
	n.signal(syscall.SIGKILL)
	<-n.patroni.ended
}
