package audit

import (
	"os"
	"time"
)

// checkEvery is how often a [File] checks whether it was moved away.
const checkEvery = time.Second

// File appends to a file, and creates one that only its owner may read if there is
// none. When the file is moved or removed, as by logrotate, it continues in a new
// one of the same name, within a second and without a signal; a truncated file it
// keeps using. Other processes may append to it too. It may be used
// by one goroutine at a time.
type File struct {
	path    string
	file    *os.File
	checked time.Time
}

// OpenFile opens the file, so that any error shows at once.
func OpenFile(path string) (*File, error) {
	f := &File{path: path}
	return f, f.open()
}

func (f *File) open() error {
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if f.file != nil {
		_ = f.file.Close() // nothing is buffered
	}
	f.file, f.checked = file, time.Now()
	return nil
}

// Write appends in one system call.
func (f *File) Write(p []byte) (int, error) {
	if now := time.Now(); now.Sub(f.checked) >= checkEvery {
		f.checked = now
		if f.moved() {
			if err := f.open(); err != nil {
				return 0, err
			}
		}
	}
	return f.file.Write(p)
}

// moved reports whether the path leads to another file than before, or to none.
func (f *File) moved() bool {
	there, err := os.Stat(f.path)
	if err != nil {
		return true
	}
	here, err := f.file.Stat()
	return err != nil || !os.SameFile(there, here)
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
