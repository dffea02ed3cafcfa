// Package service builds the real program, and runs it as it would run in production.
package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"syscall"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
)

const (
	// Key is what the bench presents to the internal listener.
	Key = "bench-0123456789abcdef0123456789abcdef"
	// Grace is the shortest that the service takes: a pair can be rotated again after three times that.
	Grace = time.Second

	patience = 20 * time.Second
)

// Build makes the program as `make build` does. It is called in the folder bench.
func Build(ctx context.Context, binary string) {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/api") //nolint:gosec // our own path
	cmd.Dir = ".."                                                            // the bench's module knows less of what the service needs
	must.Output(cmd)
}

// Process is a service that runs.
type Process struct {
	// Public and Internal are clients of its listeners.
	Public, Internal *load.Client
	// Started is how long it took from the start of the program until it was ready.
	Started time.Duration

	cmd  *exec.Cmd
	end  context.CancelFunc
	done chan error
}

// Start runs the service with a file of signing keys, and waits until it is ready.
func Start(ctx context.Context, binary, keysFile, databaseURL string) *Process {
	p := &Process{done: make(chan error, 1)}
	var config net.ListenConfig // of free addresses, both at once, so that they differ
	public, internal := must.Get(config.Listen(ctx, "tcp", "127.0.0.1:0")), must.Get(config.Listen(ctx, "tcp", "127.0.0.1:0"))
	p.Public, p.Internal = load.NewClient(public.Addr().String()), load.NewClient(internal.Addr().String())
	must.Do(errors.Join(public.Close(), internal.Close()))

	running, end := context.WithCancel(context.WithoutCancel(ctx))
	p.cmd, p.end = exec.CommandContext(running, binary, "serve"), end
	p.cmd.Cancel, p.cmd.WaitDelay = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }, patience
	p.cmd.Env = []string{
		"LATCHKEY_DATABASE_URL=" + databaseURL, "LATCHKEY_SIGNING_KEYS_FILE=" + keysFile, "LATCHKEY_SERVICE_KEYS=bench:" + Key,
		"LATCHKEY_PUBLIC_ADDR=" + p.Public.Address, "LATCHKEY_INTERNAL_ADDR=" + p.Internal.Address, "LATCHKEY_ISSUER=" + population.Issuer,
		"LATCHKEY_REFRESH_GRACE=" + Grace.String(), "LATCHKEY_ACCESS_TOKEN_TTL=" + population.AccessTokenTTL.String(),
		"LATCHKEY_CLEANUP_INTERVAL=0", "LATCHKEY_LOG_FORMAT=json",
	}
	// A log of hundreds of bytes for each request is written to nowhere, which is what os/exec does with it: what is
	// measured is not this disk.
	began := time.Now()
	must.Do(p.cmd.Start())
	go func() { p.done <- p.cmd.Wait() }()
	if err := p.awaitReady(ctx, began); err != nil {
		end()
		must.Do(err)
	}
	return p
}

func (p *Process) awaitReady(ctx context.Context, began time.Time) error {
	for time.Since(began) < patience {
		if _, err := p.Internal.Send(http.StatusOK, load.Request{Method: http.MethodGet, Path: "/readyz"}); err == nil {
			p.Started = time.Since(began)
			return nil
		}
		select {
		case err := <-p.done:
			// The first attempt found no listener.
			again := exec.CommandContext(ctx, p.cmd.Path, p.cmd.Args[1:]...) //nolint:gosec // as before
			again.Env = p.cmd.Env
			output, _ := again.CombinedOutput() // that it fails is known
			return fmt.Errorf("the service ended: %w\n%s", err, output)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return errors.New("the service does not become ready")
}

// Pid returns the process' number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stop ends the service in order.
func (p *Process) Stop() {
	p.Public.Close()
	p.Internal.Close()
	p.end()
	if err := <-p.done; !errors.Is(err, context.Canceled) { // which it is after a good end
		must.Do(err)
	}
}
