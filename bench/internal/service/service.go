// Package service builds the real program, and runs it as it would run in production.
package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

// Build makes the program as `make build` does.
func Build(ctx context.Context, binary string) {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/api") //nolint:gosec // a path of our own
	cmd.Dir = ".."                                                                         // the bench's module knows less of what the service needs
	if output, err := cmd.CombinedOutput(); err != nil {
		must.Do(fmt.Errorf("build the service, from the folder bench: %w\n%s", err, output))
	}
}

// Config says what to run.
type Config struct {
	Binary string
	// Dir is where its key file is written.
	Dir         string
	DatabaseURL string
	Identity    population.Identity
}

// Process is a service that runs.
type Process struct {
	// Public and Internal are its listeners' addresses.
	Public, Internal string
	// Started is how long it took from the start of the program until it was ready.
	Started time.Duration

	cmd  *exec.Cmd
	done chan error
}

// Start runs the service, and waits until it is ready.
func Start(ctx context.Context, cfg Config) *Process {
	keys := filepath.Join(cfg.Dir, "signing-keys.json")
	must.Do(os.WriteFile(keys, []byte(cfg.Identity.Keys), 0o600))
	p := &Process{done: make(chan error, 1)}
	for _, address := range []*string{&p.Public, &p.Internal} { // that nobody listens on
		listener := must.Get(new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"))
		*address = listener.Addr().String()
		must.Do(listener.Close())
	}

	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), cfg.Binary, "serve") //nolint:gosec // it is what was built
	p.cmd.Env = []string{
		"LATCHKEY_DATABASE_URL=" + cfg.DatabaseURL, "LATCHKEY_SIGNING_KEYS_FILE=" + keys, "LATCHKEY_SERVICE_KEYS=bench:" + Key,
		"LATCHKEY_PUBLIC_ADDR=" + p.Public, "LATCHKEY_INTERNAL_ADDR=" + p.Internal, "LATCHKEY_ISSUER=" + population.Issuer,
		"LATCHKEY_REFRESH_GRACE=" + Grace.String(), "LATCHKEY_ACCESS_TOKEN_TTL=" + population.AccessTokenTTL.String(),
		"LATCHKEY_CLEANUP_INTERVAL=0", "LATCHKEY_LOG_FORMAT=json",
	}
	// A log of hundreds of bytes for each request is written to nowhere, which is what os/exec does with it: what is
	// measured is not this disk.
	began := time.Now()
	must.Do(p.cmd.Start())
	go func() { p.done <- p.cmd.Wait() }()
	if err := p.awaitReady(ctx, began); err != nil {
		_ = p.cmd.Process.Kill() // it has ended, or is of no use
		must.Do(err)
	}

	return p
}

func (p *Process) awaitReady(ctx context.Context, began time.Time) error {
	client := load.NewClient(p.Internal)
	defer client.Close()
	for time.Since(began) < patience {
		if _, err := client.Send(http.StatusOK, load.Request{Method: http.MethodGet, Path: "/readyz"}); err == nil {
			p.Started = time.Since(began)
			return nil
		}
		select {
		case err := <-p.done:
			// Nobody listened to it the first time.
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
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-p.done:
		return err
	case <-time.After(patience):
		return errors.Join(errors.New("the service did not stop"), p.cmd.Process.Kill())
	}
}
