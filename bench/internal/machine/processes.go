// Package machine tells what the machine is, and what processes cost it. It needs Linux.
package machine

import (
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// clockTick is the unit of the processor times in /proc: the kernel shows programs hundredths of a second on every
// platform that Go runs on.
const clockTick = 10 * time.Millisecond

// Own returns the processor time of this process.
func Own() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0 // it cannot fail for a process that asks for itself
	}

	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func stat(pid int) (procfs.ProcStat, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStat{}, err
	}

	return proc.Stat()
}

// Parent returns the process that started another.
func Parent(pid int) (int, error) {
	s, err := stat(pid)

	return s.PPID, err
}

// CPU returns the processor time of a process and of its children, the ended ones too.
func CPU(pid int) (time.Duration, error) {
	self, err := stat(pid)
	if err != nil {
		return 0, err
	}
	all, err := procfs.AllProcs()
	if err != nil {
		return 0, err
	}
	sum := total(self)
	for _, proc := range all {
		// A process may end at any moment. It is among its parent's ended ones then.
		if s, err := proc.Stat(); err == nil && s.PPID == pid {
			sum += total(s)
		}
	}

	return sum, nil
}

func total(s procfs.ProcStat) time.Duration {
	return time.Duration(int(s.UTime+s.STime)+s.CUTime+s.CSTime) * clockTick
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
