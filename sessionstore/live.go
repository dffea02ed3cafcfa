package sessionstore

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// hasLiveQuery looks for a live session among those created before a time, of which it reads a number. It reads no sessions that were
// revoked, and none from more than two days before everyone was signed out: a failover may set the clock back by as much, and
// sessions that were created after it are live.
const hasLiveQuery = `
WITH "page" AS MATERIALIZED (
  SELECT "id", "createdAt" FROM "sessionStore"
  WHERE "revokedAt" IS NULL AND ("createdAt", "id") < ($1, $2)
    AND "createdAt" >= COALESCE((SELECT "at" FROM "sessionStoreEra" ORDER BY "era" DESC LIMIT 1) - interval '2 days', '-infinity')
  ORDER BY "createdAt" DESC, "id" DESC LIMIT (SELECT $3::bigint)
), "last" AS (
  SELECT "createdAt", "id" FROM "page" ORDER BY "createdAt", "id" LIMIT 1
)
SELECT EXISTS (SELECT FROM "page" p WHERE ` + hasLivePair + `), (SELECT "createdAt" FROM "last"), (SELECT "id" FROM "last"), (SELECT count(*) FROM "page")
WHERE ` + primary.Only

// livePage is how many sessions hasLiveQuery reads.
const livePage = 1000

// HasLive reports whether there is a live session. It reads sessions that have expired and await cleanup, as far as it has to.
func (s *Store) HasLive(ctx context.Context) (has bool, err error) {
	before, id := endOfTime, uuid.Max
	for n := int64(livePage); n == livePage && !has; {
		var at *time.Time
		var last *[16]byte
		if err := s.pool.QueryRow(ctx, hasLiveQuery, before, pgvalue.UUID(id), livePage).Scan(&has, &at, &last, &n); err != nil {
			return false, sessionerr.Unavailable("look for a live session", err)
		}
		if n > 0 {
			before, id = *at, uuid.UUID(*last)
		}
	}
	return has, nil
}
