package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"
)

const (
	keysKind     = "signing_keys"
	keysQueue    = "keys"
	keysInterval = time.Hour
	// keysAttempts are few enough to end before the next hour's run.
	keysAttempts = 5
)

type keysArgs struct{}

// Kind names the job in its row.
func (keysArgs) Kind() string { return keysKind }

// periodicKeys schedules the maintenance of keys once per hour, across all
// replicas.
func periodicKeys() *river.PeriodicJob {
	insert := func() (river.JobArgs, *river.InsertOpts) {
		return keysArgs{}, &river.InsertOpts{
			Queue:       keysQueue,
			MaxAttempts: keysAttempts,
			UniqueOpts:  river.UniqueOpts{ByPeriod: keysInterval},
		}
	}
	return river.NewPeriodicJob(river.PeriodicInterval(keysInterval), insert, &river.PeriodicJobOpts{RunOnStart: true})
}

type keysWorker struct {
	river.WorkerDefaults[keysArgs]
	keys Keys
}

// Work maintains the keys once.
func (w *keysWorker) Work(ctx context.Context, _ *river.Job[keysArgs]) error {
	return w.keys.Maintain(ctx)
}
