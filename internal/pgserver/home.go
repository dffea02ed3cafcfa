//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	homeName = "postgres" // in Dir: a folder, or a link to one
	dataName = "data"     // in the home: PostgreSQL's own
	// unfinished begins the names of folders that are not complete yet.
	unfinished = "unfinished-"
)

// elsewhere are the folders to which a home moves if the server's user could not reach it in
// Dir.
var elsewhere = []string{"/var/lib/latchkey", "/var/tmp"}

// openHome returns the real folder behind Dir/postgres, which it makes if there is none.
func openHome(ctx context.Context, dir string, a account) (string, error) {
	link := filepath.Join(dir, homeName)
	err := os.Mkdir(link, 0o711) //nolint:gosec // the server's user passes through it; the data in it is 0700
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("pgserver: %w", err)
	}
	made := err == nil

	home, err := filepath.EvalSymlinks(link)
	if errors.Is(err, fs.ErrNotExist) {
		// Starting over here would hide that a database is gone.
		return "", fmt.Errorf("pgserver: %s is a link to a folder that is gone: remove the link to begin with an empty database", link)
	}
	if err != nil {
		return "", fmt.Errorf("pgserver: %w", err)
	}
	if made {
		if err := os.Chmod(home, 0o711); err != nil { //nolint:gosec // as above, whatever the umask
			return "", fmt.Errorf("pgserver: %w", err)
		}
	}

	unreachable := a.canEnter(ctx, home)
	if unreachable == nil {
		return home, nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("pgserver: %w", ctx.Err())
	}
	// rmdir, unlike os.Remove, spares a link, and a folder with a database in it.
	if err := syscall.Rmdir(link); err != nil {
		return "", unreachable
	}

	return makeElsewhere(ctx, link, a)
}

// Remove removes the data below a folder whose server has stopped, and the folder. The data may be elsewhere.
func Remove(dir string) error {
	if home, err := filepath.EvalSymlinks(filepath.Join(dir, homeName)); err == nil {
		if err := os.RemoveAll(home); err != nil {
			return err
		}
	}

	return os.RemoveAll(dir)
}

// makeElsewhere makes a home that the account can reach, and links to it. The name is new each time: deleting Dir must
// lead to an empty database, not to the one that the deleted link pointed to.
func makeElsewhere(ctx context.Context, link string, a account) (string, error) {
	var problems []error
	for _, parent := range elsewhere {
		home, err := makeHome(ctx, parent, a)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if err := os.Symlink(home, link); err != nil {
			return "", fmt.Errorf("pgserver: %w", errors.Join(err, os.Remove(home)))
		}
		return home, nil
	}

	return "", fmt.Errorf("pgserver: no folder for the database that user %s can enter: %w", a.name, errors.Join(problems...))
}

func makeHome(ctx context.Context, parent string, a account) (string, error) {
	if err := makePublic(parent); err != nil {
		return "", err
	}
	home, err := os.MkdirTemp(parent, "latchkey-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(home, 0o711); err != nil { //nolint:gosec // the server's user passes through it
		return "", errors.Join(err, os.Remove(home))
	}
	if err := a.canEnter(ctx, home); err != nil {
		return "", errors.Join(err, os.Remove(home))
	}

	return filepath.EvalSymlinks(home)
}

// makePublic makes a folder that every user may enter, whatever the umask. An existing one is left unchanged.
func makePublic(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the secrets in it have their own modes
		return err
	}

	return os.Chmod(dir, 0o755) //nolint:gosec // as above
}
