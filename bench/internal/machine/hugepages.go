package machine

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/prometheus/procfs"
)

const (
	hugePagesFile = "/proc/sys/vm/nr_hugepages"
	compactFile   = "/proc/sys/vm/compact_memory"
)

// memory is the part of /proc/meminfo that is of use: bytes, and a number of huge pages. All are 0 where it cannot be read.
type memory struct{ memory, hugePageSize, hugePages uint64 }

func meminfo() (m memory) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return m
	}
	info, err := fs.Meminfo()
	if err != nil {
		return m
	}
	for to, from := range map[*uint64]*uint64{
		&m.memory: info.MemTotalBytes, &m.hugePageSize: info.HugepagesizeBytes, &m.hugePages: info.HugePagesTotal,
	} {
		if from != nil {
			*to = *from
		}
	}

	return m
}

// ReserveHugePages has the kernel set so much memory aside as huge pages. The function that it returns gives them back.
func ReserveHugePages(bytes int64) (release func() error, err error) {
	before := meminfo()
	if before.hugePageSize == 0 {
		return nil, errors.New("this kernel has no huge pages")
	}
	wanted := uint64(bytes)/before.hugePageSize + 1   //nolint:gosec // it is positive
	_ = os.WriteFile(compactFile, []byte("1"), 0o644) //nolint:gosec // the kernel's file; without, it may find less
	if err := setHugePages(before.hugePages + wanted); err != nil {
		return nil, fmt.Errorf("huge pages can be reserved by root only: %w", err)
	}
	release = func() error { return setHugePages(before.hugePages) }
	// The kernel reserves what it finds, and says nothing.
	if got := meminfo().hugePages - before.hugePages; got < wanted {
		return nil, errors.Join(fmt.Errorf("of %d huge pages, the kernel found memory for %d", wanted, got), release())
	}

	return release, nil
}

func setHugePages(n uint64) error {
	return os.WriteFile(hugePagesFile, strconv.AppendUint(nil, n, 10), 0o644) //nolint:gosec // the kernel's file, which exists
}
