//go:build unix

package pgserver

import (
	"syscall"
	"testing"
)

// A process that is being started has all files of its parent for a moment. It does not keep a lock that its parent gives
// up meanwhile.
func TestUnlockDoesNotWaitForAStartingProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, err := acquire(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	inherited, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(inherited) }() // nothing was written
	unlock(file)
	again, err := acquire(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock(again)
}
