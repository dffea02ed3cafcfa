package serve

import (
	"context"
	"log/slog"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// canStartWithout reports whether the service can start while the first shard does not answer: copies of the list of shards
// have all that the settings name and no other, and copies of the signing keys have those, if they are in PostgreSQL. It
// fills in [service.away].
func (s *service) canStartWithout(ctx context.Context, db database.Pools, id identity) bool {
	if !s.Sharded() {
		return false
	}
	entries := database.CopiedShards(ctx, s.Database)
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
