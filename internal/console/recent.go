package console

import (
	"maps"
	"sync"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// hours is a number for each hour of the past day, the latest last.
type hours = [sessionstore.Hours]int64

// recent derives hourly numbers from totals that only grow, by name.
type recent struct {
	mu    sync.Mutex
	began time.Time
	last  map[string]int64
	by    map[string]*hours
	hour  int64 // of the last one, since 1970
}

// note records the current totals.
func (r *recent) note(now time.Time, totals map[string]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	hour := now.Unix() / int64(time.Hour/time.Second)
	if r.by == nil {
		r.began, r.by, r.hour = now, map[string]*hours{}, hour
	}
	for ; r.hour < hour; r.hour++ {
		for _, of := range r.by {
			copy(of[:], of[1:])
			of[len(of)-1] = 0
		}
	}
	for name, n := range totals {
		if r.by[name] == nil {
			r.by[name] = new(hours)
		}
		r.by[name][sessionstore.Hours-1] += n - r.last[name]
	}
	r.last = maps.Clone(totals)
}

// read returns the numbers, and since when they are counted.
func (r *recent) read() (map[string]hours, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]hours, len(r.by))
	for name, of := range r.by {
		all[name] = *of
	}
	return all, r.began
}
