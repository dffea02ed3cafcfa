// Package secretfile reads files with keys and other secrets.
//
// It promises that what it returns was written by root or by the user who reads it: a file that anybody else may write
// or replace is refused, as OpenSSH and PostgreSQL refuse such keys. One that everybody may read is not refused, because
// Docker and Kubernetes mount secrets so; it is reported.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

// ErrWritable says that somebody else may write the file.
var ErrWritable = errors.New("somebody else may write it")

const (
	othersWrite = 0o022 // group and others
	allWrite    = 0o002
	allRead     = 0o004
)

// Read returns what is in the file. A file that is not there is an error that is fs.ErrNotExist.
func Read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read

	// The file that is open is looked at, and not the name, behind which there may be another one by now. What a link
	// leads to is the file: Kubernetes mounts links.
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkFile(path, info); err != nil {
		return nil, err
	}
	if err := checkFolder(path); err != nil {
		return nil, err
	}
	if target, err := filepath.EvalSymlinks(path); err == nil && target != path { // a pipe, as of a shell's <(…), has no path
		if err := checkFolder(target); err != nil {
			return nil, err
		}
	}

	return io.ReadAll(file)
}

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
