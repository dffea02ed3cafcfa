package sessionstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// keptLeaksBatch is how many reports are enqueued in one transaction.
const keptLeaksBatch = 100

// A report that another transaction is enqueuing is skipped.
const keptLeaksQuery = `
SELECT "leakReport" FROM "sessionStore" WHERE "leakReport" IS NOT NULL
ORDER BY "id" LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED`

const forgetLeakQuery = `UPDATE "sessionStore" SET "leakReport" = NULL WHERE "id" = $1`

// EnqueueKeptLeaks enqueues the reports of thefts that could not be enqueued when their
// sessions were revoked, and returns how many. Each batch is one transaction: a report
// stays with its session until the queue has it.
func (s *Store) EnqueueKeptLeaks(ctx context.Context, queue LeakQueue) (n int, err error) {
	for {
		var batch int
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
			batch, err = enqueueKept(ctx, tx, queue)
			return err
		})
		if err != nil {
			return n, sessionerr.Unavailable("enqueue the reports of thefts that were kept", err)
		}
		if n += batch; batch < keptLeaksBatch {
			return n, nil
		}
	}
}

func enqueueKept(ctx context.Context, tx pgx.Tx, queue LeakQueue) (int, error) {
	rows, err := tx.Query(ctx, keptLeaksQuery, keptLeaksBatch)
	if err != nil {
		return 0, err
	}
	reports, err := pgx.CollectRows(rows, pgx.RowTo[LeakReport])
	if err != nil {
		return 0, err
	}
	for _, report := range reports {
		if err := queue.Enqueue(ctx, tx, report); err != nil {
			return 0, err
		}
		if _, err := tx.Exec(ctx, forgetLeakQuery, report.SessionID); err != nil {
			return 0, err
		}
	}
	return len(reports), nil
}
