package serve

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// copiedTimeout is how long a shard may take to tell its copy of the list of shards.
const copiedTimeout = 5 * time.Second

// canStartWithout tells whether the service can start while the first shard does not answer: copies of the list of shards
// have all that the settings name and no other, and copies of the signing keys have those, if they are in PostgreSQL. It
// fills in [service.away].
func (s *service) canStartWithout(ctx context.Context, db database.Pools, id identity) bool {
	if !s.Sharded() {
		return false
	}
	entries := s.copiedEntries(ctx)
	further, err := s.openShards(ctx, entries)
	if err != nil {
		return false
	}
	defer further.close()
	quiet := *s
	quiet.log = slog.New(slog.DiscardHandler) // the keys are opened once more
	if _, err := quiet.openKeys(ctx, db, further.copies(), &id, &sessionstore.Config{}); err != nil {
		return false
	}
	s.away = entries
	return true
}

// copiedEntries is the list of shards that those have together which answer.
func (s *service) copiedEntries(ctx context.Context) []shards.Entry {
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
	pool, err := database.OpenTasks(ctx, database.Source{URL: u.URL})
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	return shards.CopiedEntries(ctx, pool)
}
