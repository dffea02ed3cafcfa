//go:build unix

package pgserver

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// postmaster is what a server says about itself in its data folder: postmaster.pid.
type postmaster struct {
	pid, port int
	socketDir string // "" while there is no socket
	ready     bool
}

// readPostmaster returns an error that is fs.ErrNotExist if no server has run since the last clean stop.
func readPostmaster(data string) (postmaster, error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return postmaster{}, fmt.Errorf("pgserver: %w", err)
	}

	// pid, data folder, start time, port, socket folder, address, shared memory, status
	lines := strings.Split(string(text), "\n")
	var pm postmaster
	if pm.pid, err = strconv.Atoi(strings.TrimSpace(lines[0])); err != nil || pm.pid <= 0 {
		return postmaster{}, fmt.Errorf("pgserver: postmaster.pid begins with %q", lines[0])
	}
	if len(lines) > 3 { // fewer while the server is writing them
		pm.port, _ = strconv.Atoi(lines[3])
	}
	if len(lines) > 4 {
		pm.socketDir = lines[4]
	}
	if len(lines) > 7 {
		status := strings.TrimSpace(lines[7])
		pm.ready = status == "ready" || status == "standby"
	}

	return pm, nil
}

// serves reports whether the process is a PostgreSQL server on that data folder.
func serves(ctx context.Context, pid int, data string) bool {
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil {
		return cwd == data // the working directory of a server, and of nothing else, is its data folder
	}
	if _, err := os.Stat("/proc/self/cwd"); err == nil {
		return false // Linux: the process is gone, or another user's
	}
	line, err := exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec // a number
	return err == nil && strings.Contains(string(line), data)
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("pgserver: %w", ctx.Err())
	case <-time.After(pollPause):
		return nil
	}
}
