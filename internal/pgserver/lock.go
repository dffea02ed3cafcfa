//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrRunning says that another process owns the folder: its server can be attached to, not started.
var ErrRunning = errors.New("its database is in use")

const (
	lockName = "postgres.lock"
	// lockPatience covers the moment for which Attach and owned try the lock.
	lockPatience = 100 * time.Millisecond
)

// acquire makes the caller the owner of dir until unlock is called or the process ends, however it ends. The kernel
// holds the lock, so that a crash leaves none behind.
func acquire(ctx context.Context, dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("pgserver: %w", err)
	}

	for deadline := time.Now().Add(lockPatience); ; {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) || ctx.Err() != nil {
			err = refusal(dir, file, err)
			_ = file.Close() // it was only read
			return nil, err
		}
		time.Sleep(lockPatience / 10)
	}

	// Only for the message that a second process prints.
	if err := errors.Join(file.Truncate(0), writeAt(file, strconv.Itoa(os.Getpid()))); err != nil {
		return nil, fmt.Errorf("pgserver: %w", errors.Join(err, file.Close()))
	}

	return file, nil
}

// unlock gives up a lock. Closing the file would not be enough: a process that is being started has it too, until it
// executes its program.
func unlock(file *os.File) {
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
	_ = file.Close() // nothing was written that could be lost
}

func writeAt(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}

func refusal(dir string, file *os.File, err error) error {
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("pgserver: lock %s: %w", file.Name(), err)
	}
	if pid, readErr := os.ReadFile(file.Name()); readErr == nil && len(pid) > 0 {
		return fmt.Errorf("%s: %w by process %s", dir, ErrRunning, strings.TrimSpace(string(pid)))
	}

	return fmt.Errorf("%s: %w by another process", dir, ErrRunning)
}

// owned reports whether any process, this one included, owns dir.
func owned(dir string) (bool, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("pgserver: %w", err)
	}
	defer unlock(file)

	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("pgserver: lock %s: %w", file.Name(), err)
	}

	return false, nil
}
