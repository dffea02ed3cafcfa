//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
)

const (
	socketName = "socket" // in the home, or in a folder made for it elsewhere
	socketMode = 0o700
	// socketPort names the socket, .s.PGSQL.5432, of a server that has no port.
	socketPort = 5432
)

// errNotPrivate says that others could have made the socket.
var errNotPrivate = errors.New("the server's socket is not in a folder of its user's alone")

// socketDir is the folder that contains the server's socket and nothing else. Only the server's user, and root, can
// enter it: no other user can connect, or pose as the server.
type socketDir struct {
	path  string
	owner int
	home  string // the folder around it that was made for it; "": it lies in the server's home
}

// chooseSocketDir chooses a folder in the home or, if the system allows no socket of that name, one elsewhere. It makes
// each of them to try it.
func chooseSocketDir(ctx context.Context, home string, a account) (socketDir, error) {
	dir := socketDir{path: filepath.Join(home, socketName), owner: a.uid()}
	if err := dir.renew(a); err != nil {
		return socketDir{}, err
	}
	problem := dir.allowsSocket(ctx)
	if problem == nil {
		return dir, nil
	}

	problems := []error{problem}
	for _, parent := range []string{os.TempDir(), "/tmp"} {
		around, err := makeHome(ctx, parent, a)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		dir.home, dir.path = around, filepath.Join(around, socketName)
		if err = dir.renew(a); err == nil {
			err = dir.allowsSocket(ctx)
		}
		if err == nil {
			return dir, nil
		}
		problems = append(problems, err, os.RemoveAll(around))
	}

	return socketDir{}, fmt.Errorf("pgserver: no folder for the server's socket: %w", errors.Join(problems...))
}

// renew makes the folder, in place of the one of the last server: that one may have been killed, and PostgreSQL takes
// its remains for a running server's if its process number has been reused.
func (d socketDir) renew(a account) error {
	if d.home != "" {
		if err := d.renewHome(); err != nil {
			return err
		}
	}
	// It must appear under its name with its owner already set: others may be looking.
	dir, err := os.MkdirTemp(filepath.Dir(d.path), unfinished)
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	if err := a.own(dir); err != nil {
		return errors.Join(err, os.Remove(dir))
	}
	if err := errors.Join(os.RemoveAll(d.path), os.Rename(dir, d.path)); err != nil {
		return fmt.Errorf("pgserver: %w", errors.Join(err, os.Remove(dir)))
	}

	return nil
}

// renewHome makes the folder around it again, which [Server.Stop] removes. If every user may make folders there, an
// existing one must be ours.
func (d socketDir) renewHome() error {
	err := os.Mkdir(d.home, 0o711) //nolint:gosec // the server's user passes through it
	if err == nil {
		err = os.Chmod(d.home, 0o711) //nolint:gosec // as above, whatever the umask is
	} else if errors.Is(err, fs.ErrExist) {
		var info fs.FileInfo
		if info, err = os.Lstat(d.home); err == nil && (!info.IsDir() || ownerOf(info) != os.Geteuid()) {
			err = fmt.Errorf("%w: %s belongs to another user", errNotPrivate, d.home)
		}
	}
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}

	return nil
}

// allowsSocket tests whether a socket can be made: a name is limited to about 100 bytes, and not every file system
// supports sockets. A comma ends a name for PostgreSQL and for pgx.
func (d socketDir) allowsSocket(ctx context.Context) error {
	if strings.ContainsAny(d.path, ",\"\n") {
		return fmt.Errorf("%s: it contains a comma, a quotation mark or a line break", d.path)
	}
	var listen net.ListenConfig
	socket, err := listen.Listen(ctx, "unix", filepath.Join(d.path, ".s.PGSQL.65535"))
	if err != nil {
		return err
	}

	return socket.Close()
}

// check makes sure that only the server's user can have made what is in the folder.
func (d socketDir) check() error {
	info, err := os.Lstat(d.path)
	if err != nil {
		return err
	}
	if info.Mode() != fs.ModeDir|socketMode || ownerOf(info) != d.owner {
		return fmt.Errorf("%w: %s has mode %v and belongs to uid %d; it must be a folder with mode %v of uid %d",
			errNotPrivate, d.path, info.Mode(), ownerOf(info), fs.ModeDir|socketMode, d.owner)
	}

	return nil
}

// remove removes everything made outside the server's home.
func (d socketDir) remove() error {
	if d.home == "" {
		return nil
	}

	return os.RemoveAll(d.home)
}
