package cleanup

import "time"

const (
	// A batch that keeps the database at work for longer than target has its size
	// halved; one that takes less than half of that lets it grow by a quarter. A request
	// that arrives meanwhile shares the processor and the disk with it, so it is short. Even
	// shorter ones would cost more: a batch of 100 sessions takes 20 µs of PostgreSQL's processor
	// time for each, one of 40 takes 24 µs.
	target = 3 * time.Millisecond
	// restShare is how long a run that is not late rests after a batch, as a multiple of
	// what the batch took. Every lateStep by which it is late halves the rest, up to
	// lateSteps times: a run that is a day late works four times as long as it rests.
	restShare = 4
	lateStep  = 6 * time.Hour
	lateSteps = 4
	// batchTimeout is when PostgreSQL gives up on a batch.
	batchTimeout = 5 * time.Second

	minBatch   = 10
	firstBatch = 100
	maxBatch   = 5000
)

// pace is how many sessions the next batch has.
type pace int

// after returns the pace after a batch of tried sessions that kept the database
// at work for took, or that it gave up on. The commit and the round trip do not
// count: they take no longer for many than for few.
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

// lateness returns by how much a run is late that has lasted for running, and finds
// sessions that have been due for overdue, with more to follow. Sessions that became due a
// moment ago are not late, however long the run has lasted: it keeps up. Nor is what
// a run finds when it begins, however long it has been due: it was left for this run. Nor is a
// run that began in the future, by the clock of another replica.
func lateness(running, overdue time.Duration) time.Duration { return max(0, min(running, overdue)) }

// restAfter returns how long a run rests after something that took so long.
func restAfter(took, late time.Duration) time.Duration {
	return restShare * took >> min(late/lateStep, lateSteps)
}
