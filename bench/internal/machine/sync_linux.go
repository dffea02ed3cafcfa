package machine

import (
	"os"
	"syscall"
)

// syncData is what PostgreSQL calls by default on Linux.
func syncData(file *os.File) error { return syscall.Fdatasync(int(file.Fd())) }
