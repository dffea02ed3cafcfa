package testservice

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// Service is a running command, mostly `api serve`, in its own process group, as a shell starts it.
type Service struct {
	Stdout, Stderr   *Output
	Public, Internal string // base URLs of the listeners
	// Ended is closed when the process has ended.
	Ended <-chan struct{}

	t   *testing.T
	cmd *exec.Cmd
}

// Launch starts the command without waiting for anything. It is killed when the test ends.
func Launch(t *testing.T, dir string, settings Env, args ...string) *Service {
	t.Helper()
	ended := make(chan struct{})
	s := &Service{t: t, Stdout: &Output{}, Stderr: &Output{}, Ended: ended}
	s.cmd = Command(context.WithoutCancel(t.Context()), dir, settings, args...)
	s.cmd.Stdout, s.cmd.Stderr = s.Stdout, s.Stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // the tests look at the state
		close(ended)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("api serve printed:\n%s%s", s.Stdout, s.Stderr)
		}
		s.Signal(syscall.SIGKILL)
		<-ended
	})
	return s
}

// Signal reaches the whole process group, as a terminal's Ctrl-C does.
func (s *Service) Signal(signal syscall.Signal) {
	_ = syscall.Kill(-s.cmd.Process.Pid, signal) // it may have ended
}

// End signals, waits, and returns the exit code: -1 for a process that the signal itself ended.
func (s *Service) End(signal syscall.Signal) int {
	s.t.Helper()
	s.Signal(signal)
	return s.Wait()
}

// Stop ends the service, if it still runs. It must exit with 0.
func (s *Service) Stop() {
	s.t.Helper()
	if code := s.End(syscall.SIGTERM); code != 0 {
		s.t.Errorf("the service ended with code %d", code)
	}
}

// Wait waits for the end and returns the exit code.
func (s *Service) Wait() int {
	s.t.Helper()
	select {
	case <-s.Ended:
	case <-time.After(Patience):
		s.t.Fatal("the service does not end")
	}
	return s.cmd.ProcessState.ExitCode()
}

// Await is [Await] for something that can only happen while the service runs.
func (s *Service) Await(what string, done func() bool) {
	s.t.Helper()
	Await(s.t, what, func() bool {
		if done() {
			return true
		}
		select {
		case <-s.Ended:
			s.t.Fatalf("the service ended before its %s", what)
		default:
		}
		return false
	})
}

// Await waits until done reports true.
func Await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > Patience {
			t.Fatalf("%s: not after %v", what, Patience)
		}
	}
}

// FreeAddress returns an address that nothing listens on: of a port below the range that systems use for outgoing
// connections, one of which could otherwise take it before its listener does, and below those of the tests' PostgreSQL.
func FreeAddress(t *testing.T) string {
	t.Helper()
	const first, last = 10000, 20000
	for range last - first {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first))
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
	t.Fatalf("no port is free between %d and %d", first, last)
	return ""
}
