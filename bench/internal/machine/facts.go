package machine

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
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

	return Facts{
		CPU:         valueOf("/proc/cpuinfo", "model name"),
		Cores:       runtime.NumCPU(),
		MemoryBytes: Memory(),
		Kernel:      kernel(),
		Go:          runtime.Version(),
		Fsync:       fsync,
	}, nil
}

// Memory returns the machine's memory in bytes, or 0 where the machine does not tell.
func Memory() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}

	return kilobytes(string(text), "MemTotal:")
}

// FreeDisk returns the room that is left beside dir.
func FreeDisk(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}

	return int64(s.Bavail) * int64(s.Bsize), nil //nolint:unconvert,gosec // its type differs between systems
}

func kernel() string {
	text, err := os.ReadFile("/proc/version")
	if err != nil {
		return runtime.GOOS
	}
	words := strings.Fields(string(text))

	return strings.Join(words[:min(3, len(words))], " ")
}

func valueOf(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}

	return runtime.GOARCH
}

// fsyncTime does what PostgreSQL does at each commit: it writes to a file that has its size already, and waits until
// the disk has it.
func fsyncTime(dir string) (time.Duration, error) {
	const block, blocks, rounds = 8 << 10, 256, 300

	file, err := os.CreateTemp(dir, "fsync-")
	if err != nil {
		return 0, err
	}
	defer func() { _, _ = file.Close(), os.Remove(filepath.Clean(file.Name())) }() // the folder is removed later anyway
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
		if err := syncData(file); err != nil {
			return 0, err
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)

	return times[len(times)/2], nil
}
