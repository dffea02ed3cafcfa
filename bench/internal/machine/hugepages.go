package machine

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

const (
	hugePagesFile = "/proc/sys/vm/nr_hugepages"
	compactFile   = "/proc/sys/vm/compact_memory"
)

// ReserveHugePages has the kernel set so much memory aside as huge pages. The function that it returns gives them back.
func ReserveHugePages(bytes int64) (release func() error, err error) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil, err
	}
	size := kilobytes(string(info), "Hugepagesize:")
	if size == 0 {
		return nil, errors.New("this kernel has no huge pages")
	}
	before, err := hugePages()
	if err != nil {
		return nil, err
	}
	_ = os.WriteFile(compactFile, []byte("1"), 0o644) //nolint:gosec // the kernel's file; without, it may find less
	if err := setHugePages(before + bytes/size + 1); err != nil {
		return nil, fmt.Errorf("huge pages can be reserved by root only: %w", err)
	}
	release = func() error { return setHugePages(before) }
	// The kernel reserves what it finds, and says nothing.
	got, err := hugePages()
	if err == nil && (got-before)*size < bytes {
		err = fmt.Errorf("of %d huge pages, the kernel found memory for %d", bytes/size+1, got-before)
	}
	if err != nil {
		return nil, errors.Join(err, release())
	}

	return release, nil
}

func hugePages() (int64, error) {
	text, err := os.ReadFile(hugePagesFile)
	if err != nil {
		return 0, err
	}

	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

func setHugePages(n int64) error {
	return os.WriteFile(hugePagesFile, strconv.AppendInt(nil, n, 10), 0o644) //nolint:gosec // the kernel's file, which exists
}
