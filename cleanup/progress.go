package cleanup

import "time"

// Minutely makes of a function one for [Config.Progress] that calls it once a
// minute, first after one.
func Minutely(report func(Summary)) func(Summary) { return every(time.Minute, report) }

func every(interval time.Duration, report func(Summary)) func(Summary) {
	next := interval
	return func(s Summary) {
		if s.Duration >= next {
			next = s.Duration.Truncate(interval) + interval
			report(s)
		}
	}
}
