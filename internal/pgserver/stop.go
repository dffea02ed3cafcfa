//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// Stop ends the server: at once for idle clients, with a rollback for others, and with everything written. If that
// takes too long, or ctx ends, the server is forced to end, which loses nothing that was committed; Stop then
// returns an error. Afterwards others may own Dir.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.release()

	if s.process == nil || s.process.ended() {
		return nil
	}
	p := s.process
	if err := p.cmd.Process.Signal(fastShutdown); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("pgserver: %w", err)
	}

	var late error
	select {
	case <-p.done:
		if err := p.exit(); err != nil {
			return fmt.Errorf("pgserver: %w", err)
		}
		return nil
	case <-ctx.Done():
		late = ctx.Err()
	case <-time.After(stopPatience):
		late = errors.New("it took too long")
	}
	p.signal(immediateShutdown)
	p.signal(syscall.SIGKILL)

	return fmt.Errorf("pgserver: the server was not shut down cleanly: %w", late)
}

// Quit ends the server without writing anything, for data that is no longer needed. Unlike [Server.Kill] it leaves no
// shared memory behind, of which a machine has only a few thousand segments.
func (s *Server) Quit() error {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.process != nil && !s.process.signal(immediateShutdown) {
		return errors.New("pgserver: the server did not end")
	}
	return nil
}

// Kill ends the server without any warning, all of its processes at once, as `kill -9` does: for tests of
// crashes. The folder stays owned; [Server.Start] starts the server again.
func (s *Server) Kill(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.process == nil || s.process.ended() {
		return nil
	}

	// Processes that serve a client outlive the one that started them, for a moment, and would continue to answer.
	// Once it is stopped, it starts no more of them.
	pid := s.process.cmd.Process.Pid
	_ = s.process.cmd.Process.Signal(syscall.SIGSTOP) // an error means that it has just ended
	all, err := processes(ctx)
	if !s.process.signal(syscall.SIGKILL) {
		return errors.New("pgserver: the server did not end")
	}
	if err != nil {
		return err
	}
	children := make(map[int]bool)
	for _, p := range all {
		if p.parent == pid {
			children[p.pid] = true
			_ = syscall.Kill(p.pid, syscall.SIGKILL) // as above
		}
	}
	for {
		if all, err = processes(ctx); err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(p running) bool { return children[p.pid] }) {
			return nil
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}
