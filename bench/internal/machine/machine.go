// Package machine describes the machine, and measures the cost of processes. It needs Linux.
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

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
)

// Facts are what a reader needs to know about a machine.
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
func Look(dir string) (f Facts) {
	f.Cores, f.Go, f.MemoryBytes = runtime.NumCPU(), runtime.Version(), Memory()
	f.Fsync = fsyncTime(dir)
	cores := must.Get(must.Get(procfs.NewDefaultFS()).CPUInfo())
	f.CPU = cmp.Or(cores[0].ModelName, runtime.GOARCH)
	f.Kernel = strings.Join(strings.Fields(string(must.Get(os.ReadFile("/proc/version"))))[:3], " ") // name, "version" and number
	return f
}

// Memory returns the machine's memory in bytes.
func Memory() int64 { return int64(*must.Get(must.Get(procfs.NewDefaultFS()).Meminfo()).MemTotalBytes) } //nolint:gosec // no machine has more

// FreeDisk returns the room that is left on the disk of dir, and whether what is written there never reaches a
// disk.
func FreeDisk(dir string) (bytes int64, inMemory bool) {
	var s unix.Statfs_t
	must.Do(unix.Statfs(dir, &s))
	return int64(s.Bavail) * s.Bsize, s.Type == unix.TMPFS_MAGIC || s.Type == unix.RAMFS_MAGIC //nolint:gosec // no disk has more
}

// fsyncTime does what PostgreSQL does at each commit: it writes to a file that has its size already, and waits until
// the disk has it.
func fsyncTime(dir string) time.Duration {
	const block, blocks, rounds = 8 << 10, 256, 300

	file := must.Get(os.CreateTemp(dir, "fsync-"))
	defer func() { _, _ = file.Close(), os.Remove(file.Name()) }() // the folder is removed later anyway
	must.Get(file.Write(make([]byte, block*blocks)))
	must.Do(file.Sync())

	times := make([]time.Duration, rounds)
	for i := range times {
		began := time.Now()
		must.Get(file.WriteAt(make([]byte, block), int64(i%blocks)*block))
		must.Do(unix.Fdatasync(int(file.Fd())))
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	return times[rounds/2]
}

// Own returns the processor time of this process.
func Own() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // it cannot fail for a process that asks for itself
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Parent returns the process that started another.
func Parent(pid int) int { return must.Get(must.Get(procfs.NewProc(pid)).Stat()).PPID }

// CPU returns the processor time of a process and of its children, the ended ones too.
func CPU(pid int) (sum time.Duration) {
	// clockTick is the unit of the processor times in /proc: the kernel shows programs hundredths of a second on every
	// platform that Go runs on.
	const clockTick = 10 * time.Millisecond

	for _, proc := range must.Get(procfs.AllProcs()) {
		// A process may end at any moment. It is among its parent's ended ones then.
		if s, err := proc.Stat(); err == nil && (s.PID == pid || s.PPID == pid) {
			sum += time.Duration(int(s.UTime+s.STime)+s.CUTime+s.CSTime) * clockTick
		}
	}
	return sum
}

// MostMemory returns the most memory of a process that ever was resident.
func MostMemory(pid int) int64 {
	return int64(must.Get(must.Get(procfs.NewProc(pid)).NewStatus()).VmHWM) //nolint:gosec // less than the machine has
}
