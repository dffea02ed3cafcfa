package sessionstore

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
)

const (
	// confirmEvery is how long confirmations are gathered before they are
	// written together. It only has to be short compared with the grace.
	confirmEvery = 100 * time.Millisecond
	// maxConfirmations bounds the memory used while the database does not accept them.
	maxConfirmations    = 100_000
	confirmBatch        = 1_000
	confirmTimeout      = 5 * time.Second
	confirmFlushTimeout = 5 * time.Second
)

// confirmations gathers the pairs that were seen in use and not yet recorded as
// such. A pair is recorded once per generation, off the response path.
type confirmations struct {
	pool isolation.Pool
	// primary is the store's: if there are only reads otherwise, this is the first write.
	primary *primary.Watch

	mu      sync.Mutex
	pending map[uuid.UUID]accessVersion // by the pair's row
	running bool
}

// accessVersion is the state of a pair that an access token represents. The
// time distinguishes two states to which a database that lost commits gave the same
// number.
type accessVersion struct {
	generation          int64
	mintedAt, expiresAt time.Time
}

// add notes a pair for the next batch. It returns false if no batches are being
// written. A pair for which there is no room is not recorded: its next use tries again.
func (c *confirmations) add(pair uuid.UUID, version accessVersion) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running {
		return false
	}
	if len(c.pending) < maxConfirmations {
		c.pending[pair] = version
	}
	return true
}

// take removes up to a batch.
func (c *confirmations) take() map[uuid.UUID]accessVersion {
	c.mu.Lock()
	defer c.mu.Unlock()
	batch := c.pending
	if len(batch) > confirmBatch {
		batch = make(map[uuid.UUID]accessVersion, confirmBatch)
		for id, version := range c.pending {
			batch[id] = version
			delete(c.pending, id)
			if len(batch) == confirmBatch {
				break
			}
		}
		return batch
	}
	c.pending = map[uuid.UUID]accessVersion{}
	return batch
}

func (c *confirmations) setRunning(running bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = running
	if c.pending == nil {
		c.pending = map[uuid.UUID]accessVersion{}
	}
}

// confirmQuery waits for no lock: a locked row is being refreshed, revoked or confirmed,
// and each of these makes this unnecessary. Arrays come from subqueries, as in
// getTogetherQuery.
const confirmQuery = `
UPDATE "sessionStoreToken" SET "confirmedAt" = now()
WHERE "id" IN (
  SELECT r."id" FROM unnest((SELECT $1::uuid[]), (SELECT $2::bigint[]), (SELECT $3::timestamptz[])) AS seen("id", "generation", "mintedAt")
  JOIN "sessionStoreToken" r
    ON r."id" = seen."id" AND r."accessGeneration" = seen."generation" AND COALESCE(r."issuedAt", r."createdAt") = seen."mintedAt"
  WHERE r."confirmedAt" IS NULL
  FOR NO KEY UPDATE OF r SKIP LOCKED)`

// run writes batches until ctx ends, and then the remainder.
func (c *confirmations) run(ctx context.Context) {
	c.setRunning(true)
	ticker := time.NewTicker(confirmEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			// A batch that is being written when ctx ends is still written.
			c.flush(context.WithoutCancel(ctx))
		case <-ctx.Done():
			c.setRunning(false)
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmFlushTimeout)
			defer cancel()
			c.flush(last)
			return
		}
	}
}

// flush writes what is pending. A batch that cannot be written is
// dropped: the pair's next use notes it again.
func (c *confirmations) flush(ctx context.Context) {
	for {
		batch := c.take()
		if len(batch) == 0 || c.record(ctx, batch) != nil {
			return
		}
	}
}

func (c *confirmations) record(ctx context.Context, batch map[uuid.UUID]accessVersion) error {
	err := recordConfirmations(ctx, c.pool, batch)
	c.primary.See(ctx, c.pool.Pool, err)
	return err
}

// executor is the pool or a transaction on it.
type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func recordConfirmations(ctx context.Context, db executor, batch map[uuid.UUID]accessVersion) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	ids, generations, mintedAt := make([]pgtype.UUID, 0, len(batch)), make([]int64, 0, len(batch)), make([]time.Time, 0, len(batch))
	for id, version := range batch {
		ids, generations, mintedAt = append(ids, pgvalue.UUID(id)), append(generations, version.generation), append(mintedAt, version.mintedAt)
	}
	_, err := db.Exec(ctx, confirmQuery, ids, generations, mintedAt)
	return err
}

// note records that a pair's access token was accepted.
func (c *confirmations) note(ctx context.Context, pair uuid.UUID, version accessVersion) {
	if c.add(pair, version) {
		return
	}
	// A failure is not a reason to refuse a valid token.
	_ = c.record(ctx, map[uuid.UUID]accessVersion{pair: version})
}
