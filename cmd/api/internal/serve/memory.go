package serve

import (
	"errors"
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// How much the heap may grow until it is collected, in percent of the live heap. GOGC, if
// set, wins. A service has a small live heap and produces much garbage: with Go's default
// it would be collected 20 times per second under load.
const (
	goHeapGrowth = 100
	heapGrowth   = 150
	// roomyHeapGrowth saves most of the collector's work. It is safe only with a limit,
	// near which Go collects more often.
	roomyHeapGrowth = 400
)

// fitMemory keeps Go's memory below 90 % of the container's limit, or below GOMEMLIMIT if
// that is set, and uses the memory below it to collect garbage less often. Without a limit
// the heap stays small, since nobody has reserved memory for it; likewise if the limit also
// applies to a private PostgreSQL, which needs the rest.
func fitMemory(container memlimit.Provider, private bool) error {
	limit, err := memlimit.Set(memlimit.WithProvider(container))
	if errors.Is(err, memlimit.ErrNoCgroup) || errors.Is(err, memlimit.ErrCgroupsNotSupported) {
		err = nil
	}
	growth := heapGrowth
	if limit != math.MaxInt64 && !private {
		growth = roomyHeapGrowth
	}
	if was := debug.SetGCPercent(growth); was != goHeapGrowth {
		debug.SetGCPercent(was)
	}
	return err
}
