package cleanup

import "time"

const (
	// A batch that keeps the database at work for longer than target has its size
	// halved; one of less than half of that lets it grow by a quarter. A request that comes
	// meanwhile shares the processor and the disk with it, so it is short: alongside batches
	// of 10 ms, 99 of 100 refreshes stayed under 1.4 to 2.6 times of what they do without,
	// alongside those of 5 ms under 0.9 to 1.8 times, alongside these under 1.0 and 1.5
	// times. They remove as many in a minute.
	target = 3 * time.Millisecond
	// restShare is how many times as long as it lasted it rests. After catchUpAfter it is
	// the other way round: where so much ends, a run would not be over when the next is due.
	restShare    = 4
	catchUpAfter = 6 * time.Hour
	// batchTimeout is when PostgreSQL gives a batch up.
	batchTimeout = 5 * time.Second

	minBatch   = 10
	firstBatch = 100
	maxBatch   = 5000
)

// pace is how many sessions the next batch has.
type pace int

// after returns the pace after a batch of tried sessions that the database was at
// work on for so long, or has given up on. The commit and the way there do not
// count: many take no longer than few.
func (p pace) after(tried int, work time.Duration, gaveUp bool) pace {
	next := p
	switch {
	case gaveUp || work > target:
		next = pace(tried / 2)
	case work < target/2 && tried == int(p):
		next += (p + 3) / 4
	}
	return min(max(next, minBatch), maxBatch)
}

// restAfter returns for how long a run that began so long ago rests after what took so long.
func restAfter(took, running time.Duration) time.Duration {
	if running > catchUpAfter {
		return took / restShare
	}
	return restShare * took
}
