package soak_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// A service that starts without a database, or on a standby, ends with such a line.
var databaseAway = []string{"api: the database of LATCHKEY_DATABASE_URL cannot be used: ", "api: the database of LATCHKEY_DATABASE_URL takes no writes: "}

func saysDatabaseAway(line string) bool {
	return slices.ContainsFunc(databaseAway, func(prefix string) bool { return strings.HasPrefix(line, prefix) })
}

func privateKey(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []struct {
			D string `json:"d"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(content, &set); err != nil || len(set.Keys) != 1 || set.Keys[0].D == "" {
		t.Fatalf("the signing keys: %v", err)
	}
	return set.Keys[0].D
}

// service is a process that is replaced when it ends, as an orchestrator does.
type service struct {
	soak     *soak
	name     string
	settings testservice.Env
	clock    *testservice.Clock
	dice     *rand.Rand
	ended    chan struct{}

	mu               sync.Mutex
	cmd              *exec.Cmd
	public, internal string // empty while it is not ready
	sent             syscall.Signal
	leaving          bool // there will be no other process
	off              time.Duration
}

// startService starts the first process, which need not be ready when it returns. Its clock is so far ahead of the test's.
func startService(s *soak, name string, settings testservice.Env, ahead time.Duration) *service {
	s.t.Helper()
	clock := testservice.NewClock(s.t, ahead)
	v := &service{soak: s, name: name, settings: settings.With(clock.Env()), clock: clock, off: ahead, dice: s.dice("service " + name), ended: make(chan struct{})}
	ctx := context.WithoutCancel(s.t.Context())
	go func() {
		defer close(v.ended)
		for v.run(ctx) {
			time.Sleep(between(v.dice, 0, 500*time.Millisecond))
		}
	}()
	s.t.Cleanup(func() { // where the test ended early
		v.leave(syscall.SIGKILL)
		<-v.ended
	})
	return v
}

// run runs one process, and returns whether another one is to follow.
func (v *service) run(ctx context.Context) bool {
	log := v.soak.logs.reader(v.ready)
	cmd := testservice.Command(ctx, filepath.Dir(testservice.Program()), v.settings)
	cmd.Stderr = log
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if !v.start(cmd) {
		return false
	}
	_ = cmd.Wait() // the state says more
	log.end()

	v.mu.Lock()
	defer v.mu.Unlock()
	v.public, v.internal, v.cmd = "", "", nil
	code, last := cmd.ProcessState.ExitCode(), log.lastWords()
	switch {
	case code == 1 && saysDatabaseAway(last):
		v.soak.tally.add("service: could not start")
	case v.sent == syscall.SIGKILL, v.sent == syscall.SIGTERM && code == 0:
	default:
		v.soak.t.Errorf("service %s ended with code %d after the signal %q: %s", v.name, code, v.sent, last)
		v.giveUp()
	}
	if stdout.Len() > 0 {
		v.soak.t.Errorf("service %s printed: %s", v.name, &stdout)
	}
	return !v.leaving
}

func (v *service) start(cmd *exec.Cmd) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.leaving {
		return false
	}
	v.sent, v.cmd = 0, cmd
	if err := cmd.Start(); err != nil {
		v.soak.t.Errorf("start the service: %v", err)
		v.giveUp()
		return false
	}
	v.soak.tally.add("service: started")
	return true
}

// giveUp leaves what is wrong for good to be looked at.
func (v *service) giveUp() {
	v.leaving = true
	v.soak.broken.Store(true)
}

func (v *service) ready(public, internal string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sent == 0 {
		v.public, v.internal = public, internal
	}
}

func (v *service) addresses() (public, internal string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.public, v.internal
}

// setClock sets the clock, of the process that runs and of those that follow.
func (v *service) setClock(ahead time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.clock.Set(ahead)
	v.off = ahead
}

func (v *service) ahead() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.off
}

// signal ends the process, if it is ready. No client is sent to its address any more: the port may soon be another
// process's.
func (v *service) signal(signal syscall.Signal) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.public != "" && v.send(signal)
}

func (v *service) send(signal syscall.Signal) bool {
	v.public, v.internal, v.sent = "", "", signal
	return v.cmd.Process.Signal(signal) == nil
}

// leave ends the service for good, in whatever state it is.
func (v *service) leave(signal syscall.Signal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.leaving = true
	if v.cmd != nil {
		v.send(signal)
	}
}

func (s *soak) stopServices() {
	for _, v := range s.services {
		v.leave(syscall.SIGTERM)
	}
	for _, v := range s.services {
		<-v.ended
	}
}
