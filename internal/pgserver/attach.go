//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// ErrNotRunning says that no process runs a server in the folder: it can be started, not attached to.
var ErrNotRunning = errors.New("no server runs in the folder")

// Attach returns the address of the server that another process runs in dir, and waits for it if it is about to be
// ready. Without such a process it returns [ErrNotRunning].
func Attach(ctx context.Context, dir string) (Address, error) {
	if err := forgetLibpq(); err != nil {
		return Address{}, err
	}
	for {
		running, err := owned(dir)
		if err != nil {
			return Address{}, err
		}
		if !running {
			return Address{}, fmt.Errorf("%s: %w", dir, ErrNotRunning)
		}

		a, err := findAddress(dir)
		if err == nil {
			err = a.ping(ctx)
		}
		if err == nil {
			return a, nil
		}
		if refused(err) {
			return Address{}, fmt.Errorf("pgserver: %s: %w", dir, err)
		}

		select {
		case <-ctx.Done():
			return Address{}, fmt.Errorf("pgserver: the server in %s is not ready: %w", dir, errors.Join(ctx.Err(), err))
		case <-time.After(pollPause):
		}
	}
}

func findAddress(dir string) (Address, error) {
	data := filepath.Join(dir, homeName, dataName)
	password, err := readPassword(data)
	if err != nil {
		return Address{}, err
	}
	pm, err := readPostmaster(data)
	if err != nil {
		return Address{}, err
	}
	if pm.socketDir == "" {
		if !pm.ready {
			return Address{}, errors.New("the socket does not exist yet")
		}
		return Address{port: pm.port, loopback: true, password: password}, nil // it holds the port, and proves who it is
	}
	info, err := os.Stat(data)
	if err != nil {
		return Address{}, fmt.Errorf("pgserver: %w", err)
	}

	return Address{socket: socketDir{path: pm.socketDir, owner: ownerOf(info)}, port: pm.port, password: password}, nil
}
