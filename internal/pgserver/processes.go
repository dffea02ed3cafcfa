//go:build unix

package pgserver

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// running is a process that is not merely a zombie.
type running struct {
	pid, parent int
}

// processes lists all processes of the machine.
func processes(ctx context.Context) ([]running, error) {
	lines, err := statFiles()
	if err == nil && len(lines) == 0 { // not Linux
		var output []byte
		output, err = exec.CommandContext(ctx, "ps", "-axo", "pid=,state=,ppid=").Output()
		lines = strings.Split(string(output), "\n")
	}
	if err != nil {
		return nil, fmt.Errorf("pgserver: list processes: %w", err)
	}

	var all []running
	for _, line := range lines {
		var p running
		var state string
		if _, err := fmt.Sscan(line, &p.pid, &state, &p.parent); err == nil && !strings.HasPrefix(state, "Z") {
			all = append(all, p)
		}
	}

	return all, nil
}

// statFiles returns the beginning of each /proc/<pid>/stat, which is "pid (name) state parent", without the name, which
// may contain anything.
func statFiles() ([]string, error) {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the process has ended meanwhile
		}
		pid, rest, _ := strings.Cut(string(text), " (")
		lines = append(lines, pid+rest[strings.LastIndex(rest, ")")+1:])
	}

	return lines, nil
}
