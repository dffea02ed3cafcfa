package shards

import (
	"context"
	"time"
)

// Work that has to wait for a shard is noted in the database of one that answers, and done when the shard is
// back: see signOut and uncounted. Notes outlive the replica, and any other replica can do the work.

// notesPause lies between two looks for work that can be done now.
const notesPause = 5 * time.Second

// doNoted does the work that a shard has notes of, as far as other shards answer, until ctx ends. Each shard has its
// own goroutine for it, so that one that hangs keeps no other notes from being read.
func (r *Router) doNoted(ctx context.Context, s *shard) {
	for {
		select {
		case <-time.After(notesPause):
		case <-ctx.Done():
			return
		}
		if !s.isUp.Load() {
			continue
		}
		if err := r.finishSignOuts(ctx, s); err != nil && ctx.Err() == nil {
			r.cfg.Logger.WarnContext(ctx, "a sign-out that did not reach a shard is not finished yet", "error", err)
		}
		if err := r.settleNoted(ctx, s); err != nil && ctx.Err() == nil {
			r.cfg.Logger.WarnContext(ctx, "the limit of sessions per subject is not exact yet after a shard was down", "error", err)
		}
	}
}
