package serve

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/sessionid"
)

// shardJobs are the jobs of all shards, by the shard's number. Their ids are those that [sessionid.Row] makes.
type shardJobs map[int]*jobs.Runner

// jobs are those of the first shard and of all others.
func (f *further) jobs(first *jobs.Runner) shardJobs {
	all := shardJobs{0: first}
	for _, shard := range f.all {
		all[shard.Number] = shard.runner
	}
	return all
}

// Running implements [console.Jobs].
func (s shardJobs) Running(ctx context.Context) (all []jobs.Running, err error) {
	for number, runner := range s {
		some, err := runner.Running(ctx)
		if err != nil {
			return nil, err
		}
		for _, job := range some {
			job.ID = sessionid.Row(number, job.ID)
			all = append(all, job)
		}
	}
	slices.SortFunc(all, func(a, b jobs.Running) int { return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(b.ID, a.ID)) })
	return all, nil
}

// Dead implements [console.Jobs].
func (s shardJobs) Dead(ctx context.Context) (all []jobs.Dead, err error) {
	for number, runner := range s {
		some, err := runner.Dead(ctx)
		if err != nil {
			return nil, err
		}
		for _, job := range some {
			job.ID = sessionid.Row(number, job.ID)
			all = append(all, job)
		}
	}
	slices.SortFunc(all, func(a, b jobs.Dead) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID)) })
	return all, nil
}

// LastCleanup returns when cleanup had last come to its end on all shards: zero if it has not on one of them.
func (s shardJobs) LastCleanup(ctx context.Context) (earliest time.Time, err error) {
	isFirst := true
	for _, runner := range s {
		at, err := runner.LastCleanup(ctx)
		if err != nil {
			return time.Time{}, err
		}
		if isFirst || at.Before(earliest) {
			earliest, isFirst = at, false
		}
	}
	return earliest, nil
}

// SendAgain implements [console.Jobs].
func (s shardJobs) SendAgain(ctx context.Context, id int64) error {
	number, own := sessionid.OfRow(id)
	if s[number] == nil {
		return jobs.ErrNotDead
	}
	return s[number].SendAgain(ctx, own)
}
