package database

import (
	"context"
	"sync"
	"time"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/internal/shards"
)

// copiedTimeout is how long a shard may take to return its copy of the list of shards.
const copiedTimeout = 5 * time.Second

// CopiedShards merges the copies of the list of shards on those shards of the settings, other than the first, that
// answer. It is for when the first does not answer.
func CopiedShards(ctx context.Context, s settings.Database) []shards.Entry {
	ctx, cancel := context.WithTimeout(ctx, copiedTimeout)
	defer cancel()
	further := s.FurtherShards()
	copies := make([][]shards.Entry, len(further))
	var asked sync.WaitGroup
	for i, u := range further {
		asked.Go(func() { copies[i], _ = copiedBy(ctx, u) }) // the others may answer
	}
	asked.Wait()
	return shards.Merge(copies...)
}

func copiedBy(ctx context.Context, u settings.ShardURL) ([]shards.Entry, error) {
	pool, err := OpenTasks(ctx, Source{URL: u.URL, Pooled: u.Pooled()})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	return shards.CopiedEntries(ctx, pool)
}
