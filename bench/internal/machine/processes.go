// Package machine tells what the machine is, and what processes cost it. It reads /proc, so it needs Linux.
package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
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

// stat is the part of /proc/PID/stat that is of use.
type stat struct {
	parent   int
	own      time.Duration
	children time.Duration // of those that have ended
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}

	return parseStat(string(text))
}

// parseStat reads a line as proc(5) describes it. The second field, the command's name, may contain anything.
func parseStat(text string) (stat, error) {
	_, rest, found := cutLast(text, ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 15 {
		return stat{}, fmt.Errorf("/proc/PID/stat is %q", text)
	}
	var numbers [15]int64
	for _, i := range []int{1, 11, 12, 13, 14} { // ppid, utime, stime, cutime, cstime
		var err error
		if numbers[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return stat{}, fmt.Errorf("/proc/PID/stat is %q", text)
		}
	}

	return stat{
		parent:   int(numbers[1]),
		own:      time.Duration(numbers[11]+numbers[12]) * clockTick,
		children: time.Duration(numbers[13]+numbers[14]) * clockTick,
	}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}

	return s, "", false
}

// Parent returns the process that started another.
func Parent(pid int) (int, error) {
	s, err := readStat(pid)

	return s.parent, err
}

// CPU returns the processor time of a process and of its children, the ended ones too.
func CPU(pid int) (time.Duration, error) {
	self, err := readStat(pid)
	if err != nil {
		return 0, err
	}
	sum := self.own + self.children

	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		child, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			continue
		}
		// A process may end at any moment. It is among its parent's ended ones then.
		if s, err := readStat(child); err == nil && s.parent == pid {
			sum += s.own + s.children
		}
	}

	return sum, nil
}

// RSS returns how much memory of a process is resident now, and the most that ever was.
func RSS(pid int) (now, most int64, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, 0, err
	}

	return kilobytes(string(text), "VmRSS:"), kilobytes(string(text), "VmHWM:"), nil
}

// kilobytes returns a line of a file in /proc, in bytes.
func kilobytes(text, name string) int64 {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}

	return 0
}
