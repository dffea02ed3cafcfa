//go:build linux

package failover_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const endPatience = 20 * time.Second

// process is a program that runs until the test ends, and no longer if the test is killed.
type process struct {
	name  string
	cmd   *exec.Cmd
	said  *testservice.Output
	ended chan struct{}
}

// start starts a program of Debian's as a user that is not root. If the test is killed, the program gets SIGTERM,
// since Patroni must stop PostgreSQL when it ends.
func start(t *testing.T, dir, program string, args ...string) *process {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path = filepath.Join("/usr/sbin", program) // not in an ordinary user's PATH
	}
	cmd := exec.Command(path, args...) //nolint:noctx // it has to stop well
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM, Credential: ordinary(t)}
	return launch(t, program, cmd)
}

// launch starts a command.
func launch(t *testing.T, name string, cmd *exec.Cmd) *process {
	t.Helper()
	said := &testservice.Output{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: apt install patroni etcd-server haproxy pgbouncer", err)
	}
	p := &process{name: name, cmd: cmd, said: said, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // the tests look at what it does
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("%s printed at last:\n%s", name, lastOf(said.String()))
		}
	})
	return p
}

// lastOf is the end of what a program printed.
func lastOf(text string) string { return text[max(0, len(text)-4000):] }

func (p *process) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // it may have ended
}

// end ends the process, stopped or not.
func (p *process) end(s syscall.Signal) {
	p.signal(s)
	p.signal(syscall.SIGCONT)
	select {
	case <-p.ended:
	case <-time.After(endPatience):
		p.signal(syscall.SIGKILL)
		<-p.ended
	}
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// ordinary is the user that runs the programs: nil for the user who runs the test.
func ordinary(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// freeAddress returns an address that was free just now. The system gives its port to no connection, as it does with those
// from 32768 on: a node that is down for a while finds its own free when it is back.
func freeAddress(t *testing.T) (address string) {
	t.Helper()
	testservice.Await(t, "a free port", func() bool {
		address = fmt.Sprint("127.0.0.1:", 10_000+rand.N(20_000))
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			return false
		}
		_ = listener.Close() // nothing was written
		return true
	})
	return address
}

// place makes a folder that is the programs' user's, and their files' that are given.
func place(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := testservice.Place(t)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if who := ordinary(t); who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
