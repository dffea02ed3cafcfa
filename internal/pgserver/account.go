//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user who runs PostgreSQL's programs.
type account struct {
	name       string
	credential *syscall.Credential // nil: our own account
}

// accountFor returns the account that runs the server whose data is, or will be, in the given
// folder.
func accountFor(data string) (account, error) {
	if os.Geteuid() != 0 {
		return account{name: "uid " + strconv.Itoa(os.Geteuid())}, nil
	}

	// PostgreSQL insists on owning its data: the account that made it must run it.
	info, err := os.Stat(data)
	switch {
	case err == nil:
		if owner := ownerOf(info); owner > 0 {
			u, err := user.LookupId(strconv.Itoa(owner))
			if err != nil {
				return account{}, fmt.Errorf("pgserver: the owner of %s: %w", data, err)
			}
			return unprivileged(u)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return account{}, fmt.Errorf("pgserver: %w", err)
	}

	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return unprivileged(u)
		}
	}

	return account{}, errors.New("pgserver: PostgreSQL does not run as root, and this machine has neither a user postgres nor a user nobody: run this as an ordinary user")
}

func unprivileged(u *user.User) (account, error) {
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("pgserver: user %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("pgserver: user %s: %w", u.Username, err)
	}

	return account{name: u.Username, credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

// command prepares a program to run under the account. It gets its own session, because a Ctrl-C at the terminal
// goes to the whole process group, and the server must outlive the requests that its owner still answers. And it gets
// its own environment, because PostgreSQL's programs obey many variables, and their messages are parsed here.
func (a account) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the program is one that Find found
	cmd.Dir = "/"
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: a.credential}

	return cmd
}

// uid is the number of the account's user.
func (a account) uid() int {
	if a.credential == nil {
		return os.Geteuid()
	}

	return int(a.credential.Uid)
}

// own makes the account the owner of a file.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	if err := os.Chown(path, int(a.credential.Uid), int(a.credential.Gid)); err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}

	return nil
}

// canEnter reports whether the account can use the contents of dir. Mode bits alone do not decide that, so the
// kernel is asked, by starting a process of the account there.
func (a account) canEnter(ctx context.Context, dir string) error {
	if a.credential == nil {
		return nil
	}
	cmd := a.command(ctx, "/bin/sh", "-c", ":")
	cmd.Dir = dir
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pgserver: user %s cannot enter %s: %w", a.name, dir, err)
	}

	return nil
}

// cacheDir is where downloaded programs are kept: readable for the account, and outside the data, so that deleting
// the data does not cause another download.
func cacheDir(a account, home string) string {
	if a.credential != nil {
		return "/var/cache/latchkey"
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "latchkey")
	}

	return filepath.Join(home, "programs")
}

func ownerOf(info fs.FileInfo) int {
	if status, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(status.Uid)
	}

	return -1
}
