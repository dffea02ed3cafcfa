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

	readyPatience = 20 * time.Second
	stopPatience  = 20 * time.Second

	complaintPatience = 3 * time.Second
	maxComplaint      = 2000

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
	// Environment is what differs from the defaults besides: NAME=value.
	Environment []string
}

// Process is a service that runs.
type Process struct {
	// Public and Internal are its listeners' addresses.
	Public, Internal string
	// Started is how long it took from the start of the program until it was ready.
	Started time.Duration

	cmd  *exec.Cmd
	done chan struct{}
	err  error
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
	p := &Process{Public: public, Internal: internal, done: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), cfg.Binary, "serve") //nolint:gosec // it is what was built
	p.cmd.Env = append([]string{
		"DATABASE_URL=" + cfg.DatabaseURL, "SIGNING_KEYS_FILE=" + keys, "SERVICE_KEYS=bench:" + Key,
		"PUBLIC_ADDR=" + public, "INTERNAL_ADDR=" + internal, "ISSUER=" + population.Issuer,
		"REFRESH_GRACE=" + Grace.String(), "ACCESS_TOKEN_TTL=" + population.AccessTokenTTL.String(),
		"CLEANUP_INTERVAL=0", "LOG_FORMAT=json",
	}, cfg.Environment...)
	// A log of hundreds of bytes for each request is written to nowhere: what is measured is not this disk.
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = null, null

	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		_ = null.Close() // nothing is in it
		close(p.done)
	}()
	if err := p.awaitReady(ctx, began); err != nil {
		_ = p.Stop() // it was never ready, or has ended
		return nil, err
	}

	return p, nil
}

func (p *Process) awaitReady(ctx context.Context, began time.Time) error {
	request := []byte("GET /readyz HTTP/1.1\r\nHost: bench\r\n\r\n")
	for time.Since(began) < readyPatience {
		if conn, err := load.Dial(p.Internal); err == nil {
			status, _, _, err := conn.Do(request)
			_ = conn.Close() // it was for this only
			if err == nil && status == 200 {
				p.Started = time.Since(began)
				return nil
			}
		}
		select {
		case <-p.done:
			return fmt.Errorf("the service ended: %w\n%s", p.err, p.complaint(ctx))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollPause):
		}
	}

	return errors.New("the service does not become ready")
}

// complaint starts a service once more that did not start, as nobody listened to it the first time.
func (p *Process) complaint(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, complaintPatience)
	defer cancel()
	again := exec.CommandContext(ctx, p.cmd.Path, p.cmd.Args[1:]...) //nolint:gosec // as before
	again.Env = p.cmd.Env
	output, _ := again.CombinedOutput() // that it fails is known

	return strings.TrimSpace(string(output[:min(len(output), maxComplaint)]))
}

// Pid returns the process' number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stop ends the service in order.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(stopPatience):
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
