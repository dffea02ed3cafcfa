package machine

import (
	"cmp"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// Facts are what a reader has to know of a machine.
type Facts struct {
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memory_bytes"`
	Kernel      string `json:"kernel"`
	Go          string `json:"go"`
	// Fsync is how long the disk takes to keep 8 KiB for good.
	Fsync time.Duration `json:"fsync"`
}

// Look returns the facts. The disk that it tries is that of dir.
func Look(dir string) (Facts, error) {
	fsync, err := fsyncTime(dir)
	if err != nil {
		return Facts{}, err
	}
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return Facts{}, err
	}
	cores, err := fs.CPUInfo()
	if err != nil {
		return Facts{}, err
	}
	version, err := os.ReadFile("/proc/version")
	if err != nil {
		return Facts{}, err
	}
	kernel := strings.Fields(string(version))

	return Facts{
		CPU:         cmp.Or(cores[0].ModelName, runtime.GOARCH),
		Cores:       runtime.NumCPU(),
		MemoryBytes: Memory(),
		Kernel:      strings.Join(kernel[:min(3, len(kernel))], " "),
		Go:          runtime.Version(),
		Fsync:       fsync,
	}, nil
}

// Memory returns the machine's memory in bytes, or 0 where the machine does not tell.
func Memory() int64 { return int64(meminfo().memory) } //nolint:gosec // no machine has more

// FreeDisk returns the room that is left beside dir.
func FreeDisk(dir string) (int64, error) {
	var s unix.Statfs_t
	err := unix.Statfs(dir, &s)

	return int64(s.Bavail) * s.Bsize, err //nolint:gosec // no disk has more
}

// InMemory tells whether what is written below dir never reaches a disk.
func InMemory(dir string) bool {
	var s unix.Statfs_t
	err := unix.Statfs(dir, &s)

	return err == nil && (s.Type == unix.TMPFS_MAGIC || s.Type == unix.RAMFS_MAGIC)
}

// fsyncTime does what PostgreSQL does at each commit: it writes to a file that has its size already, and waits until
// the disk has it.
func fsyncTime(dir string) (time.Duration, error) {
	const block, blocks, rounds = 8 << 10, 256, 300

	file, err := os.CreateTemp(dir, "fsync-")
	if err != nil {
		return 0, err
	}
	defer func() { _, _ = file.Close(), os.Remove(file.Name()) }() // the folder is removed later anyway
	if _, err := file.Write(make([]byte, block*blocks)); err != nil {
		return 0, err
	}
	if err := file.Sync(); err != nil {
		return 0, err
	}

	times := make([]time.Duration, 0, rounds)
	for i := range rounds {
		began := time.Now()
		if _, err := file.WriteAt(make([]byte, block), int64(i%blocks)*block); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return 0, err
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)

	return times[len(times)/2], nil
}
