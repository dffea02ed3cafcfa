package serve

import (
	"errors"
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// How much the heap may grow until it is collected, in percent of the live heap. A service
// has a small live heap and produces much garbage: with Go's default of 100 it would be
// collected 20 times per second under load.
const (
	heapGrowth = 150
	// roomyHeapGrowth saves most of the collector's work. It is safe only with a limit,
	// near which Go collects more often.
	roomyHeapGrowth = 400
)

// fitMemory keeps Go's memory below 90 % of the container's limit, or below GOMEMLIMIT if
// that is set, and uses the memory below it to collect garbage less often. Without a limit
// the heap stays small, since nobody has reserved memory for it; likewise if the limit also
// applies to a private PostgreSQL, which needs the rest. If GOGC is set, the operator has
// decided how often.
func fitMemory(container memlimit.Provider, private, isGOGCSet bool) error {
	limit, err := memlimit.Set(memlimit.WithProvider(container))
	if errors.Is(err, memlimit.ErrNoCgroup) || errors.Is(err, memlimit.ErrCgroupsNotSupported) {
		err = nil
	}
	switch {
	case isGOGCSet:
	case limit != math.MaxInt64 && !private:
		debug.SetGCPercent(roomyHeapGrowth)
	default:
		debug.SetGCPercent(heapGrowth)
	}
	return err
}
