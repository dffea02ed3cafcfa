package serve

import (
	"errors"
	"math"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// The heap uses a container's memory up to its limit. GOGC and GOMEMLIMIT win.
func TestFitMemory(t *testing.T) {
	const container, most = 256 << 20, 256 << 20 * 9 / 10
	for name, test := range map[string]struct {
		container memlimit.Provider
		variable  string // GOMEMLIMIT
		gogc      int
		given     bool // it, by an operator
		private   bool

		wantLimit int64
		wantGOGC  int
		fails     bool
	}{
		"a limit":                    {container: memlimit.Limit(container), gogc: 100, wantLimit: most, wantGOGC: 400},
		"next to PostgreSQL":         {container: memlimit.Limit(container), gogc: 100, private: true, wantLimit: most, wantGOGC: 150},
		"GOGC":                       {container: memlimit.Limit(container), gogc: 50, given: true, wantLimit: most, wantGOGC: 50},
		"GOGC, as by default":        {container: memlimit.Limit(container), gogc: 100, given: true, wantLimit: most, wantGOGC: 100},
		"GOMEMLIMIT":                 {container: memlimit.Limit(container), variable: "100MiB", gogc: 100, wantLimit: 100 << 20, wantGOGC: 400},
		"no limit":                   {container: failing(memlimit.ErrNoLimit), gogc: 100, wantLimit: math.MaxInt64, wantGOGC: 150},
		"no container":               {container: failing(memlimit.ErrNoCgroup), gogc: 100, wantLimit: math.MaxInt64, wantGOGC: 150},
		"another system":             {container: failing(memlimit.ErrCgroupsNotSupported), gogc: 100, wantLimit: math.MaxInt64, wantGOGC: 150},
		"a limit of an unknown form": {container: failing(errors.New("no number")), gogc: 100, wantLimit: math.MaxInt64, wantGOGC: 150, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			// What Go does with the variable at the process's start.
			before := int64(math.MaxInt64)
			if test.variable != "" {
				t.Setenv("GOMEMLIMIT", test.variable)
				before = test.wantLimit
			}
			oldLimit, oldGOGC := debug.SetMemoryLimit(before), debug.SetGCPercent(test.gogc)
			t.Cleanup(func() { debug.SetMemoryLimit(oldLimit); debug.SetGCPercent(oldGOGC) })
			err := fitMemory(test.container, test.private, test.given)
			if (err != nil) != test.fails {
				t.Error(err)
			}
			limit := debug.SetMemoryLimit(-1)
			gogc := debug.SetGCPercent(test.gogc)
			if limit != test.wantLimit || gogc != test.wantGOGC {
				t.Errorf("limit %d, GOGC %d; want %d, %d", limit, gogc, test.wantLimit, test.wantGOGC)
			}
		})
	}
}

func failing(err error) memlimit.Provider { return func() (uint64, error) { return 0, err } }
