package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The folder for keys and data is its owner's alone. Root's may be passed through, not read: PostgreSQL does not
// run as root, and its user has to reach the database in it.
const (
	ownDirMode  = 0o700
	rootDirMode = 0o711
	secretMode  = 0o600
)

// makeDir makes a folder for keys and data, which git leaves alone. One that is there keeps its mode.
func makeDir(dir string) error {
	mode := fs.FileMode(ownDirMode)
	if os.Geteuid() == 0 {
		mode = rootDirMode
	}
	_, err := os.Stat(dir)
	if makeErr := os.MkdirAll(dir, mode); makeErr != nil || !errors.Is(err, fs.ErrNotExist) {
		return makeErr
	}
	return os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), secretMode)
}

// createSecret writes a new file that only its owner may read. It is there complete or not at all, and a file
// that is there already is never touched: that is fs.ErrExist.
func createSecret(path string, content []byte) error {
	return writeBeside(path, content, secretMode, os.Link)
}

// replaceSecret writes a file anew. Its mode stays: it may be what lets the service read it.
func replaceSecret(path string, content []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return writeBeside(path, content, info.Mode().Perm(), os.Rename)
}

// writeBeside writes a temporary file, makes sure that it is on the disk, and puts it in its place.
func writeBeside(path string, content []byte, mode fs.FileMode, put func(from, to string) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600, O_EXCL
	if err != nil {
		return err
	}
	defer func() {
		if removeErr := os.Remove(file.Name()); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}()
	_, err = file.Write(content)
	if err := errors.Join(err, file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return put(file.Name(), path)
}
