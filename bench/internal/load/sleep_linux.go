package load

import (
	"syscall"
	"time"
)

const (
	prSetTimerSlack = 29
	nanosecond      = 1
)

// sleep asks the kernel: the runtime's own timers may be a millisecond late while the processor has nothing to do. The
// kernel, for its part, takes the liberty of 50 µs if nobody asks it not to.
func sleep(d time.Duration) {
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, nanosecond, 0) // without, it is late by a little
	spec := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&spec, nil) // interrupted, it is early by a little
}
