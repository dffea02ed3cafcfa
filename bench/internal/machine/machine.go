// Package machine tells what the machine is, and what processes cost it. It needs Linux.
package machine

import (
	"cmp"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
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
func Look(dir string) (f Facts, err error) {
	f.Cores, f.Go, f.MemoryBytes = runtime.NumCPU(), runtime.Version(), Memory()
	if f.Fsync, err = fsyncTime(dir); err != nil {
		return f, err
	}
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return f, err
	}
	cores, err := fs.CPUInfo()
	if err != nil {
		return f, err
	}
	f.CPU = cmp.Or(cores[0].ModelName, runtime.GOARCH)
	version, err := os.ReadFile("/proc/version")
	f.Kernel = strings.Join(strings.Fields(string(version) + " - - -")[:3], " ") //nolint:mnd // name, "version" and number

	return f, err
}

// Memory returns the machine's memory in bytes.
func Memory() int64 {
	var info unix.Sysinfo_t
	_ = unix.Sysinfo(&info) // it cannot fail with a good pointer

	return int64(info.Totalram) * int64(info.Unit) //nolint:gosec // no machine has more
}

// FreeDisk returns the room that is left beside dir, and whether what is written there never reaches a disk.
func FreeDisk(dir string) (bytes int64, inMemory bool, err error) {
	var s unix.Statfs_t
	err = unix.Statfs(dir, &s)

	return int64(s.Bavail) * s.Bsize, s.Type == unix.TMPFS_MAGIC || s.Type == unix.RAMFS_MAGIC, err //nolint:gosec // no disk has more
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

	times := make([]time.Duration, rounds)
	for i := range times {
		began := time.Now()
		if _, err := file.WriteAt(make([]byte, block), int64(i%blocks)*block); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return 0, err
		}
		times[i] = time.Since(began)
	}
	slices.Sort(times)

	return times[rounds/2], nil
}

// Own returns the processor time of this process.
func Own() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // it cannot fail for a process that asks for itself

	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Parent returns the process that started another.
func Parent(pid int) (int, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	stat, err := proc.Stat()

	return stat.PPID, err
}

// CPU returns the processor time of a process and of its children, the ended ones too.
func CPU(pid int) (sum time.Duration, err error) {
	// clockTick is the unit of the processor times in /proc: the kernel shows programs hundredths of a second on every
	// platform that Go runs on.
	const clockTick = 10 * time.Millisecond

	all, err := procfs.AllProcs()
	for _, proc := range all {
		// A process may end at any moment. It is among its parent's ended ones then.
		if s, err := proc.Stat(); err == nil && (s.PID == pid || s.PPID == pid) {
			sum += time.Duration(int(s.UTime+s.STime)+s.CUTime+s.CSTime) * clockTick
		}
	}

	return sum, err
}

// MostMemory returns the most memory of a process that ever was resident.
func MostMemory(pid int) (int64, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	status, err := proc.NewStatus()

	return int64(status.VmHWM), err //nolint:gosec // less than the machine has
}
