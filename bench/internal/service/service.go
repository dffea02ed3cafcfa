// Package service builds the real program, and runs it as it would run in production.
package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
)

const (
	module = "github.com/latchkey-sessions/latchkey"

	// Key is what the bench presents to the internal listener.
	Key = "bench-0123456789abcdef0123456789abcdef"
	// Grace is the shortest that the service takes: a pair can be rotated again after three times that.
	Grace = time.Second

	patience  = 20 * time.Second
	pollPause = time.Millisecond
)

// Build makes the program as `make build` does.
func Build(ctx context.Context, binary string) error {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return fmt.Errorf("where is %s? This has to be run in its folder bench: %w", module, err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/api") //nolint:gosec // a path of our own
	cmd.Dir = strings.TrimSpace(string(root))                                              // the bench's module knows less of what the service needs
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the service: %w\n%s", err, output)
	}

	return nil
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
func Start(ctx context.Context, cfg Config) (*Process, error) {
	keys := filepath.Join(cfg.Dir, "signing-keys.json")
	if err := os.WriteFile(keys, []byte(cfg.Identity.Keys), 0o600); err != nil {
		return nil, err
	}
	public, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	internal, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	// A log of hundreds of bytes for each request is written to nowhere, which is what os/exec does with it: what is
	// measured is not this disk.
	p := &Process{Public: public, Internal: internal, done: make(chan error, 1)}
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), cfg.Binary, "serve") //nolint:gosec // it is what was built
	p.cmd.Env = []string{
		"DATABASE_URL=" + cfg.DatabaseURL, "SIGNING_KEYS_FILE=" + keys, "SERVICE_KEYS=bench:" + Key,
		"PUBLIC_ADDR=" + public, "INTERNAL_ADDR=" + internal, "ISSUER=" + population.Issuer,
		"REFRESH_GRACE=" + Grace.String(), "ACCESS_TOKEN_TTL=" + population.AccessTokenTTL.String(),
		"CLEANUP_INTERVAL=0", "LOG_FORMAT=json",
	}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.done <- p.cmd.Wait() }()
	if err := p.awaitReady(ctx, began); err != nil {
		_ = p.cmd.Process.Kill() // it has ended, or is of no use
		return nil, err
	}

	return p, nil
}

func (p *Process) awaitReady(ctx context.Context, began time.Time) error {
	client := load.NewClient(p.Internal)
	defer client.Close()
	for time.Since(began) < patience {
		if _, err := client.Send(200, load.Request{Method: "GET", Path: "/readyz"}); err == nil {
			p.Started = time.Since(began)
			return nil
		}
		select {
		case err := <-p.done:
			return fmt.Errorf("the service ended: %w\n%s", err, p.complaint(ctx))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollPause):
		}
	}

	return errors.New("the service does not become ready")
}

// complaint starts a service once more that did not start, as nobody listened to it the first time.
func (p *Process) complaint(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, patience/4)
	defer cancel()
	again := exec.CommandContext(ctx, p.cmd.Path, p.cmd.Args[1:]...) //nolint:gosec // as before
	again.Env = p.cmd.Env
	output, _ := again.CombinedOutput() // that it fails is known

	return strings.TrimSpace(string(output))
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

// freeAddress returns an address that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}

	return listener.Addr().String(), listener.Close()
}
