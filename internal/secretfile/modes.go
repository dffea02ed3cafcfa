//go:build unix

package secretfile

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
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
			log.Warn("every user of this machine may read a secret", "file", path, "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
		}
	}
}

func checkFile(path string, info fs.FileInfo) error {
	if mode := info.Mode().Perm(); mode&othersWrite != 0 {
		return fmt.Errorf("%s has mode %04o: %w; its owner alone may (chmod 600 %s)", path, mode, ErrWritable, path)
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if us := os.Geteuid(); ok && status.Uid != 0 && int(status.Uid) != us {
		return fmt.Errorf("%s has mode %04o and belongs to uid %d: %w; it must belong to root or to uid %d, which this runs as (chown %d %s)",
			path, info.Mode().Perm(), status.Uid, ErrWritable, us, us, path)
	}

	return nil
}

// checkFolder refuses a folder in which everybody may put another file in the place of this one. In a sticky one, such
// as /tmp, only its owner may.
func checkFolder(path string) error {
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if mode := info.Mode(); mode.Perm()&allWrite != 0 && mode&fs.ModeSticky == 0 {
		return fmt.Errorf("%s is in a folder with mode %04o: %w, by replacing it; the folder may not be one that everybody may write (chmod o-w %s)",
			path, mode.Perm(), ErrWritable, folder)
	}

	return nil
}
