package cleanup

import "time"

const (
	// A batch that takes longer than target has its size halved; one that takes
	// less than half of that lets it grow by a quarter. Who comes meanwhile shares
	// the processor and the disk with it, so it is short: with 100 ms, and half of
	// the time at work, the slowest refreshes took eight times as long.
	target = 25 * time.Millisecond
	// restShare is how many times as long as it was at work it rests.
	restShare = 4
	// batchTimeout is when PostgreSQL gives a batch up.
	batchTimeout = 5 * time.Second

	minBatch   = 10
	firstBatch = 100
	maxBatch   = 5000
)

// pace is how many sessions the next batch has, and after what rest.
type pace struct {
	size int
	rest time.Duration
}

var firstPace = pace{size: firstBatch}

// after returns the pace after a batch of tried sessions that took so long, and
// that the database may have given up on.
func (p pace) after(tried int, took time.Duration, gaveUp bool) pace {
	next := pace{size: p.size, rest: restAfter(took)}
	switch {
	case gaveUp || took > target:
		next.size = tried / 2
	case took < target/2 && tried == p.size:
		next.size += (p.size + 3) / 4
	}
	next.size = min(max(next.size, minBatch), maxBatch)
	return next
}

func restAfter(took time.Duration) time.Duration { return restShare * took }
