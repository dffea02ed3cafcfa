package secretfile

import "errors"

var (
	// ErrWritable says that another user may write the file.
	ErrWritable = errors.New("other users may write it")
	// ErrNotText says that the file is not text in UTF-8, as written by an editor or a shell in UTF-16: a secret would be
	// a different one.
	ErrNotText = errors.New("not text in UTF-8")
)
