// Package secretfile reads files with keys and other secrets.
//
// It promises that what it returns was written by root or by the user who reads it: a file that anyone else may write or
// replace is refused, as OpenSSH and PostgreSQL refuse such keys. One that everyone can read is not refused, because
// Docker and Kubernetes mount secrets that way; it is reported. On Windows nothing is promised: rights there are access
// control lists, which modes do not show.
package secretfile

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

// byteOrderMark is what some programs put at the beginning of UTF-8 text. It is not part of
// the text.
var byteOrderMark = []byte("\ufeff")

// Read returns the text in the file, without a byte order mark. For a missing file, the error is
// fs.ErrNotExist.
func Read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read

	// The open file is checked, and not the name, which may lead to another file by now. Links are followed:
	// Kubernetes mounts links.
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
