//go:build unix

package secretfile

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	othersWrite = 0o022 // group and others
	allWrite    = 0o002
	allRead     = 0o004
)

// WarnOfReadable logs each file that every user of the machine may read. "" is none.
func WarnOfReadable(log *slog.Logger, paths ...string) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err == nil && info.Mode().Perm()&allRead != 0 {
			log.Warn("every user of this machine can read a secret", "file", path, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
		}
	}
}

func checkFile(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&othersWrite != 0 {
		return fmt.Errorf("%s has mode %04o: %w; only its owner may (chmod 600 %s)", path, mode, ErrWritable, path)
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if us := os.Geteuid(); ok && status.Uid != 0 && int(status.Uid) != us {
		return fmt.Errorf("%s has mode %04o and belongs to uid %d: %w; it must belong to root or to uid %d, which this runs as (chown %d %s)",
			path, info.Mode().Perm(), status.Uid, ErrWritable, us, us, path)
	}

	return nil
}

// mostLinks is how many links a path may lead through, as on Linux.
const mostLinks = 40

// checkFolders refuses a path that anyone could redirect to another file: by replacing the file, a folder above it, or a
// link on the way. Anything in a world-writable folder can be replaced, but in a sticky one, such as /tmp, only by its
// owner. Like OpenSSH's StrictModes, it checks all folders up to the root; unlike that, it accepts folders that a group
// may write, or that belong to others: a replaced file would be theirs, which checkFile refuses.
func checkFolders(path string) error {
	at, rest := "/", strings.Split(path, "/")
	if !filepath.IsAbs(path) {
		working, err := os.Getwd()
		if err != nil {
			return err
		}
		rest = append(strings.Split(working, "/"), rest...)
	}
	for links := 0; ; {
		info, err := os.Lstat(at)
		if err != nil {
			return nil //nolint:nilerr // a pipe, as of a shell's <(…), has no path; the file is open
		}
		switch mode := info.Mode(); {
		case mode&fs.ModeSymlink != 0:
			target, err := os.Readlink(at)
			if err != nil {
				return err
			}
			if links++; links > mostLinks {
				return fmt.Errorf("%s: %w", path, syscall.ELOOP)
			}
			if at = filepath.Dir(at); filepath.IsAbs(target) {
				at = "/"
			}
			rest = append(strings.Split(target, "/"), rest...)
			continue
		case mode.IsDir() && mode.Perm()&allWrite != 0 && mode&fs.ModeSticky == 0:
			return fmt.Errorf("%s is in a folder with mode %04o: %w, by replacing it; the folder must not be world-writable (chmod o-w %s)",
				path, mode.Perm(), ErrWritable, at)
		}
		if len(rest) == 0 {
			return nil
		}
		at, rest = filepath.Join(at, rest[0]), rest[1:]
	}
}
