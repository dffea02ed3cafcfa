// Package secretfile reads files with keys and other secrets.
//
// It promises that what it returns was written by root or by the user who reads it: a file that anybody else may write
// or replace is refused, as OpenSSH and PostgreSQL refuse such keys. One that everybody may read is not refused, because
// Docker and Kubernetes mount secrets so; it is reported. On Windows nothing is promised: rights there are access control
// lists, which modes do not show.
package secretfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

var (
	// ErrWritable says that somebody else may write the file.
	ErrWritable = errors.New("other users may write it")
	// ErrNotText says that the file is not text in UTF-8, as of an editor or a shell that writes UTF-16: a secret would be
	// another one.
	ErrNotText = errors.New("not text in UTF-8")
)

// byteOrderMark is what some programs begin text in UTF-8 with. It is no part of the text.
var byteOrderMark = []byte("\ufeff")

// Read returns the text in the file, without a byte order mark. A file that is not there is an error that is
// fs.ErrNotExist.
func Read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read

	// The file that is open is looked at, and not the name, which may lead to another file by now. What a link
	// leads to is the file: Kubernetes mounts links.
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkFile(path, info); err != nil {
		return nil, err
	}
	if err := checkFolders(path); err != nil {
		return nil, err
	}

	content, err := io.ReadAll(file)
	switch {
	case err != nil:
		return nil, err
	case !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0:
		return nil, fmt.Errorf("%s: %w", path, ErrNotText)
	}

	return bytes.TrimPrefix(content, byteOrderMark), nil
}
