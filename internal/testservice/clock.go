package testservice

import (
	_ "embed" // the source of a wrong clock
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Where the standard library reads the clocks for [time.Now], and its replacement.
const (
	reading = "sec, nsec, mono := runtimeNow()"
	misread = "sec, nsec, mono := wrong(runtimeNow())"
)

//go:embed testdata/ahead.go.txt
var aheadSource []byte

// Clock is the wall clock of a process of the command that [MainWithClocks] built. The test sets it while the process runs.
// Its monotonic clock is right, as it is on a machine whose clock is set.
type Clock struct {
	t    *testing.T
	file *os.File
}

// NewClock returns a clock that is ahead of the machine's by the given time, or behind it if that is negative.
func NewClock(t *testing.T, ahead time.Duration) *Clock {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "clock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	c := &Clock{t, file}
	c.Set(ahead)
	return c
}

// Set makes the clock jump. It may be called from any goroutine of the test.
func (c *Clock) Set(ahead time.Duration) {
	c.t.Helper()
	if _, err := c.file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(ahead)), 0); err != nil {
		c.t.Errorf("set the clock: %v", err)
	}
}

// Env is the environment of a process that must use the clock.
func (c *Clock) Env() Env { return Env{"WALL_CLOCK": c.file.Name()} }

// MainWithClocks is [Main] for a command whose processes may be given a [Clock] each. A Go program asks the kernel for the
// time, and no library can intercept that, so its [time.Now] is rebuilt, for libraries too. Everything that depends on it
// is recompiled, once per cache.
func MainWithClocks(run func() int) int {
	dir, err := os.MkdirTemp("", "latchkey-clock-")
	var overlay string
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		overlay, err = writeOverlay(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return mainWith(run, []string{"-overlay", overlay}, nil)
}

// writeOverlay writes the files that go build must use in place of those of package time, and returns
// the list of them.
func writeOverlay(dir string) (string, error) {
	root, err := goTool("", "env", "GOROOT")
	if err != nil {
		return "", err
	}
	std := filepath.Join(strings.TrimSpace(root), "src", "time")
	source, err := os.ReadFile(filepath.Join(std, "time.go"))
	if err != nil {
		return "", err
	}
	if strings.Count(string(source), reading) != 1 {
		return "", errors.New("time.Now of this Go reads the clocks in another way: testservice must learn it")
	}
	replace := map[string]string{}
	for name, content := range map[string][]byte{"time.go": []byte(strings.Replace(string(source), reading, misread, 1)), "ahead.go": aheadSource} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(std, name)] = file
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o600)
}
