package testdb

import (
	"os"
	"syscall"
)

const (
	// sharedMemory is where Linux keeps files in memory.
	sharedMemory = "/dev/shm"
	// roomForServers is how much must be free there. Containers often have a few megabytes only.
	roomForServers = 2 << 30
)

// tempDir returns the folder for the servers' data, or "" for the system's. Each test copies a database of some 300
// files: in memory that takes a tenth of the time. TMPDIR, if set, decides instead.
func tempDir() string {
	var disk syscall.Statfs_t
	if os.Getenv("TMPDIR") != "" || syscall.Statfs(sharedMemory, &disk) != nil {
		return ""
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < roomForServers {
		return ""
	}

	return sharedMemory
}
