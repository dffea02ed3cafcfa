//go:build !linux

package machine

import "os"

func syncData(file *os.File) error { return file.Sync() }
