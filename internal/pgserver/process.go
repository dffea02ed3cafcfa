//go:build unix

package pgserver

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
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

// signal sends a signal to a running process, and reports whether it ended soon after.
func (p *process) signal(signal syscall.Signal) bool {
	if p.ended() {
		return true
	}
	_ = p.cmd.Process.Signal(signal) // an error means that it has just ended
	select {
	case <-p.done:
		return true
	case <-time.After(quitPatience):
		return false
	}
}

// exit says how the process ended; nil for an orderly shutdown.
func (p *process) exit() error {
	if p.err != nil {
		return fmt.Errorf("postgres: %w", p.err)
	}

	return nil
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
