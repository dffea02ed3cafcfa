//go:build unix

package pgserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	fastShutdown      = syscall.SIGINT  // rolls back what is under way, writes everything, ends
	immediateShutdown = syscall.SIGQUIT // ends; the next start recovers from the write-ahead log

	stopPatience = 10 * time.Second
	quitPatience = 6 * time.Second // the server itself kills its children after 5
	// orphanPatience is how long the last server's children may outlive it after a SIGKILL.
	orphanPatience = 10 * time.Second
	portTries      = 5
	logName        = "postgres.log"
	largeLog       = 8 << 20
)

// leashScript ends the server with its owner: read returns when the owner's end of the pipe is closed, which the kernel
// does even if the owner is killed. A folder that was made for the socket is removed once the server has ended.
const leashScript = `read -r _; kill -INT "$1"; [ -n "$2" ] || exit; while kill -0 "$1" 2>/dev/null; do sleep 0.1; done; rm -rf "$2"`

// process is one run of the server.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // the cause; read it only after done
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

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

// leash ties the lifetimes of the server and of the folder for its socket to ours. The returned function undoes that.
func leash(ctx context.Context, pid int, socketHome string) (release func(), err error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", leashScript, "sh", strconv.Itoa(pid), socketHome) //nolint:gosec // a number, and a folder that we made
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C at the terminal is not meant for it either
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return func() {}, err
	}
	if err := cmd.Start(); err != nil {
		return func() {}, err
	}

	return func() {
		// Killed before the pipe is closed, it signals no process: the number may be another process's by
		// now.
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = pipe.Close()
	}, nil
}

func openLog(name string) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && info.Size() > largeLog {
		if err := os.Rename(name, name+".old"); err != nil {
			return nil, fmt.Errorf("pgserver: %w", err)
		}
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("pgserver: %w", err)
	}

	return file, nil
}

func readLog(name string, from int64) string {
	text, err := os.ReadFile(name)
	if err != nil || int64(len(text)) < from {
		return ""
	}

	return string(text[from:])
}
