//go:build unix

package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// takeOver makes way for a new server: what the last owner left running is stopped. It is not adopted, because only our
// own child reports its end, and because it may have been started with other settings.
func (s *Server) takeOver(ctx context.Context) error {
	data := filepath.Join(s.home, dataName)
	pm, err := readPostmaster(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return s.discardPostmaster(data, err)
	}

	if !serves(ctx, pm.pid, data) {
		if errors.Is(syscall.Kill(pm.pid, 0), syscall.ESRCH) {
			return nil // PostgreSQL itself sees that, and looks for processes that outlived their server
		}
		return reassign(data, pm.pid)
	}

	s.cfg.Logger.WarnContext(ctx, "a server was left running: stopping it first", "pid", pm.pid)
	for _, step := range []struct {
		signal  syscall.Signal
		patient time.Duration
	}{{fastShutdown, stopPatience}, {immediateShutdown, quitPatience}, {syscall.SIGKILL, quitPatience}} {
		if err := syscall.Kill(pm.pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("pgserver: stop process %d, which runs the database: %w", pm.pid, err)
		}
		for deadline := time.Now().Add(step.patient); time.Now().Before(deadline); {
			if !serves(ctx, pm.pid, data) {
				return nil
			}
			if err := pause(ctx); err != nil {
				return err
			}
		}
	}

	return fmt.Errorf("pgserver: process %d runs the database and cannot be stopped", pm.pid)
}

// discardPostmaster removes a postmaster.pid that is cut short: the machine stopped while it was written.
func (s *Server) discardPostmaster(data string, problem error) error {
	s.cfg.Logger.Warn("postmaster.pid cannot be read: removing it", "error", problem)
	if err := os.Remove(filepath.Join(data, "postmaster.pid")); err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}

	return nil
}

// reassign handles a postmaster.pid whose process has long ended, and whose number now belongs to another program, as is
// common when a container restarts. PostgreSQL would refuse to start. It accepts the number of the process that starts
// it; the rest of the file stays, because it leads PostgreSQL to processes that may have outlived their server.
func reassign(data string, stale int) error {
	name := filepath.Join(data, "postmaster.pid")
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	text = bytes.Replace(text, []byte(strconv.Itoa(stale)), []byte(strconv.Itoa(os.Getpid())), 1)
	if err := os.WriteFile(name, text, 0o600); err != nil { //nolint:gosec // our own file, which keeps its owner and mode
		return fmt.Errorf("pgserver: %w", err)
	}

	return nil
}
