package metrics

import (
	"math"
	"time"
)

// Clock watches how far this machine's clock is ahead of the database's, and how far
// off that may be. The function returns false while it is not known.
func (m *Metrics) Clock(read func() (offset, uncertainty time.Duration, known bool)) {
	m.registry.MustRegister(
		gauge("clock_offset_seconds", "How far this machine's clock is ahead of the database's; negative if it is behind, 0 before it is known.", func() float64 {
			offset, _, _ := read()
			return offset.Seconds()
		}),
		gauge("clock_uncertainty_seconds", "How far the offset may be wrong, either way; +Inf before it is known.", func() float64 {
			if _, uncertainty, known := read(); known {
				return uncertainty.Seconds()
			}
			return math.Inf(1)
		}),
	)
}
