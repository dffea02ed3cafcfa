package revocations

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/primary"
)

const (
	// anewBatch is how many sessions are revoked anew in one transaction.
	anewBatch = 1000
	// anewPause is how long to wait after it has failed, anewPatience how long a batch may
	// take.
	anewPause    = 250 * time.Millisecond
	anewPatience = 10 * time.Second
)

// revokeAnew ends again what the database has forgotten to have ended, each time that it
// is doubted. It goes on beside the reading, which must not wait for it.
func (r *Source) revokeAnew(ctx context.Context, doubted <-chan struct{}) {
	failing := false
	for ctx.Err() == nil {
		var again <-chan time.Time
		sessions, doubt := r.memory.doubted()
		switch err := r.revokeAll(ctx, sessions); {
		case err == nil:
			r.memory.settle(doubt)
			failing = false
		case ctx.Err() == nil && !failing:
			failing = true
			r.Logger.WarnContext(ctx, "cannot revoke again sessions whose end the database may have forgotten: trying again", slog.Any("error", err))
			fallthrough
		default:
			again = time.After(anewPause)
		}
		select {
		case <-doubted:
		case <-again:
		case <-ctx.Done():
		}
	}
}

// revokeAll revokes those of the sessions that are live. Its connection leads to where the
// address leads now, as the reader's does.
func (r *Source) revokeAll(ctx context.Context, sessions []Ended) error {
	if len(sessions) == 0 {
		return nil
	}
	conn, err := primary.Beside(ctx, r.Pool, followConnectTimeout)
	if err != nil {
		return err
	}
	defer primary.Disconnect(ctx, conn)
	var revoked int64
	defer func() {
		if revoked > 0 {
			r.Logger.WarnContext(ctx, "the database had forgotten that sessions were revoked: they are revoked anew", slog.Int64("sessions", revoked))
		}
	}()
	for batch := range slices.Chunk(sessions, anewBatch) {
		ctx, cancel := context.WithTimeout(ctx, anewPatience)
		n, err := r.RevokeAnew(ctx, conn, batch)
		cancel()
		if err != nil {
			return err
		}
		revoked += n
	}
	return nil
}
