//go:build unix

package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// passwordName is in the data folder, so that data and password are created and deleted
// together.
const passwordName = "latchkey.password"

// makeCluster makes home/data, which fill fills. It exists completely or not at all: unfinished data is in a folder
// with another name. That name is new each time, because an initdb whose starter was killed may still be at work.
func makeCluster(ctx context.Context, home string, fill func(ctx context.Context, data string) error) (err error) {
	workshop, err := os.MkdirTemp(home, unfinished)
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(workshop)) }()
	if err := os.Chmod(workshop, 0o711); err != nil { //nolint:gosec // the server's user passes through it
		return fmt.Errorf("pgserver: %w", err)
	}
	data := filepath.Join(workshop, dataName)
	if err := os.Mkdir(data, 0o700); err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	if err := fill(ctx, data); err != nil {
		return err
	}
	if err := os.Rename(data, filepath.Join(home, dataName)); err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}

	return nil
}

// initCluster fills an empty folder with a new database, and its password. The account may write nothing outside
// it.
func initCluster(a account, programs Programs, noSync bool) func(context.Context, string) error {
	return func(ctx context.Context, data string) error {
		password := filepath.Join(filepath.Dir(data), passwordName)
		if err := os.WriteFile(password, []byte(rand.Text()+"\n"), 0o600); err != nil {
			return fmt.Errorf("pgserver: %w", err)
		}
		if err := errors.Join(a.own(data), a.own(password)); err != nil {
			return err
		}

		args := []string{
			"--pgdata", data, "--username", superuser, "--pwfile", password, "--auth", "scram-sha-256",
			"--encoding", "UTF8", "--locale", "C", "--data-checksums", "--no-instructions",
		}
		if noSync {
			args = append(args, "--no-sync")
		}
		cmd := a.command(ctx, programs.path("initdb"), args...)
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with the servers that it starts
		if output, err := cmd.CombinedOutput(); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return fmt.Errorf("pgserver: initdb: %w%s", err, lastLines(string(output)))
		}

		if err := os.Rename(password, filepath.Join(data, passwordName)); err != nil {
			return fmt.Errorf("pgserver: %w", err)
		}

		return nil
	}
}

// copyOf fills an empty folder with a copy of another. Unlike [os.CopyFS] it keeps owners and modes, which PostgreSQL
// checks.
func copyOf(from string) func(context.Context, string) error {
	return func(ctx context.Context, data string) error {
		if output, err := exec.CommandContext(ctx, "cp", "-Rp", from+"/.", data).CombinedOutput(); err != nil { //nolint:gosec // the caller's own folder
			return fmt.Errorf("pgserver: copy %s: %w%s", from, err, lastLines(string(output)))
		}

		return nil
	}
}

// removeUnfinished removes what interrupted first starts have left. If it fails, that only costs disk space.
func removeUnfinished(home string) {
	entries, err := os.ReadDir(home)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), unfinished) {
			_ = os.RemoveAll(filepath.Join(home, entry.Name())) // see above
		}
	}
}

// clusterMajor returns the major version that made the data, or 0 if there is none.
func clusterMajor(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) {
			return 0, nil
		}
	}
	if err != nil {
		return 0, fmt.Errorf("pgserver: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("pgserver: %s/PG_VERSION: %w", data, err)
	}

	return major, nil
}

func readPassword(data string) (string, error) {
	text, err := os.ReadFile(filepath.Join(data, passwordName))
	if err != nil {
		return "", fmt.Errorf("pgserver: the database's password: %w", err)
	}

	return strings.TrimSpace(string(text)), nil
}

// lastLines returns the last lines of a program's output, to append to an error message.
func lastLines(output string) string {
	const most = 8
	lines := strings.Split(strings.TrimSpace(output), "\n")
	lines = lines[max(0, len(lines)-most):]
	if len(lines) == 1 && lines[0] == "" {
		return ""
	}

	return ": its last words were:\n\t" + strings.Join(lines, "\n\t")
}
