//go:build !unix

package secretfile

import (
	"io/fs"
	"log/slog"
)

// WarnOfReadable logs nothing: modes do not show who may read.
func WarnOfReadable(*slog.Logger, ...string) {}

func checkFile(string, fs.FileInfo) error { return nil }

func checkFolders(string) error { return nil }
