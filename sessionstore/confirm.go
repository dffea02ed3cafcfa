package sessionstore

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// confirmEvery is how long confirmations are gathered before they are
	// written together. It only has to be short beside the grace.
	confirmEvery = 100 * time.Millisecond
	// maxConfirmations bounds the memory where the database does not take them.
	maxConfirmations    = 100_000
	confirmBatch        = 1_000
	confirmTimeout      = 5 * time.Second
	confirmFlushTimeout = 5 * time.Second
)

// confirmations gathers the pairs that were seen in use and not yet recorded as
// such. A pair is recorded once a generation, off the answer's path.
type confirmations struct {
	mu      sync.Mutex
	pending map[uuid.UUID]int64 // access row: generation
	running bool
}

// add notes a pair for the next batch. It returns false where nobody writes
// batches. A pair that finds no room is not noted: its next use tries again.
func (c *confirmations) add(accessID uuid.UUID, generation int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running {
		return false
	}
	if len(c.pending) < maxConfirmations {
		c.pending[accessID] = generation
	}
	return true
}

// take removes up to a batch.
func (c *confirmations) take() (ids []uuid.UUID, generations []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, generation := range c.pending {
		if len(ids) == confirmBatch {
			break
		}
		ids, generations = append(ids, id), append(generations, generation)
		delete(c.pending, id)
	}
	return ids, generations
}

func (c *confirmations) setRunning(running bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = running
	if c.pending == nil {
		c.pending = map[uuid.UUID]int64{}
	}
}

// confirmQuery waits for nobody: a row that is locked is being refreshed,
// revoked or confirmed, and all of these make this needless.
const confirmQuery = `
UPDATE "sessionStoreToken" SET "confirmedAt" = now()
WHERE "id" IN (
  SELECT a."id" FROM unnest($1::uuid[], $2::bigint[]) AS seen("id", "generation")
  JOIN "sessionStoreToken" a ON a."id" = seen."id" AND a."generation" = seen."generation"
  WHERE a."confirmedAt" IS NULL
  FOR NO KEY UPDATE OF a SKIP LOCKED)`

// Run records which token pairs were seen in use, in batches, until ctx ends;
// then it writes what is left and returns nil. It should run for as long as
// the store is used. Where it does not, Get itself records a pair's first use,
// which costs that call a second round trip.
//
// What is lost in a crash, or while the database is away, makes a theft look
// like a lost response for one generation longer, and never the reverse.
func (s *Store) Run(ctx context.Context) error {
	s.seen.setRunning(true)
	ticker := time.NewTicker(confirmEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.flushConfirmations(ctx)
		case <-ctx.Done():
			s.seen.setRunning(false)
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), confirmFlushTimeout)
			defer cancel()
			s.flushConfirmations(last)
			return nil
		}
	}
}

// flushConfirmations writes what is pending. A batch that cannot be written is
// dropped: the pair's next use notes it again.
func (s *Store) flushConfirmations(ctx context.Context) {
	for {
		ids, generations := s.seen.take()
		if len(ids) == 0 || s.recordConfirmations(ctx, ids, generations) != nil {
			return
		}
	}
}

func (s *Store) recordConfirmations(ctx context.Context, ids []uuid.UUID, generations []int64) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	_, err := s.pool.Exec(ctx, confirmQuery, ids, generations)
	return err
}

// confirm notes that a pair's access token was accepted.
func (s *Store) confirm(ctx context.Context, accessID uuid.UUID, generation int64) {
	if s.seen.add(accessID, generation) {
		return
	}
	// A failure is no reason to refuse a token that is good.
	_ = s.recordConfirmations(ctx, []uuid.UUID{accessID}, []int64{generation})
}
