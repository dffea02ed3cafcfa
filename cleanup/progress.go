package cleanup

import "time"

// Minutely returns a function for [Config.Progress] that calls the given one
// once per minute, for the first time after a minute.
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
