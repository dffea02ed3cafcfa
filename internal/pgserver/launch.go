//go:build unix

package pgserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// launch runs the server until it answers. It retries after temporary failures: a port that was just taken, and
// children of the last server that have not noticed its end yet.
func (s *Server) launch(ctx context.Context) error {
	if err := s.takeOver(ctx); err != nil {
		return err
	}
	if err := s.socket.renew(s.account); err != nil {
		return err
	}

	portsTried := 0
	for began := time.Now(); ; {
		if s.port == 0 {
			port, err := freePort(ctx)
			if err != nil {
				return err
			}
			s.port = port
			portsTried++
		}

		said, err := s.run(ctx)
		switch {
		case err == nil:
			return nil
		case strings.Contains(said, "could not bind") && s.process == nil && portsTried > 0 && portsTried < portTries:
			s.port = 0
		case strings.Contains(said, "pre-existing shared memory block") && time.Since(began) < orphanPatience:
			if err := pause(ctx); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// run starts the server once and waits until it answers. If that fails, the error includes PostgreSQL's output.
func (s *Server) run(ctx context.Context) (string, error) {
	name := filepath.Join(s.home, logName)
	log, err := openLog(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = log.Close() }() // the server has its own descriptor
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return "", fmt.Errorf("pgserver: %w", err)
	}

	args := append([]string{"-D", filepath.Join(s.home, dataName), "-p", strconv.Itoa(s.port)}, s.settings()...)
	cmd := s.account.command(context.WithoutCancel(ctx), s.programs.path("postgres"), args...)
	cmd.Env = append(cmd.Env, s.cfg.Environment...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("pgserver: %w", err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	release, err := leash(ctx, cmd.Process.Pid, s.socket.home)
	if err != nil {
		s.cfg.Logger.WarnContext(ctx, "the server would outlive this process if that were killed", "error", err)
	}
	go func() {
		p.err = cmd.Wait()
		release()
		close(p.done)
	}()

	if err := s.awaitReady(ctx, p); err != nil {
		p.signal(immediateShutdown)
		p.signal(syscall.SIGKILL)
		said := readLog(name, from)
		return said, fmt.Errorf("pgserver: PostgreSQL did not start: %w%s", err, lastLines(said))
	}
	s.process = p

	return "", nil
}

func (s *Server) awaitReady(ctx context.Context, p *process) error {
	for {
		err := s.ping(ctx)
		if err == nil {
			return nil
		}
		if refused(err) {
			return err
		}
		select {
		case <-p.done:
			return cmp.Or(p.exit(), errors.New("it was shut down"))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollPause):
		}
	}
}
