// Package testdir provides folders for files that belong to one test.
package testdir

import (
	"os"
	"syscall"
)

const (
	// sharedMemory is where Linux keeps files in memory.
	sharedMemory = "/dev/shm"
	// room is how much must be free there. Containers often have a few megabytes only.
	room = 2 << 30
)

// Fast returns the folder for files that servers write, or "" for the system's. A database has some 300 files: in memory it
// takes a tenth of the time to copy one. TMPDIR, if set, decides instead.
func Fast() string {
	var disk syscall.Statfs_t
	if os.Getenv("TMPDIR") != "" || syscall.Statfs(sharedMemory, &disk) != nil {
		return ""
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < room {
		return ""
	}

	return sharedMemory
}
