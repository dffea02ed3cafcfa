package sessionstore

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/era"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// CountedLive is up to how many live sessions [Store.CountLive] counts.
const CountedLive = 1_000_000

// countTimeout bounds what counting costs the database.
const countTimeout = "SET LOCAL statement_timeout = '2s'"

// A session's pair is revoked with it, so the other table need not be read.
const countLiveQuery = `
SELECT count(*) FROM "sessionStoreToken" WHERE "refreshToken" IS NULL AND "revokedAt" IS NULL AND "expiresAt" > now() AND COALESCE("era", 0)` + era.Continues

// Ids are in chronological order, so the index of ids suffices to count them.
const createdByHourQuery = `
SELECT (SELECT count(*) FROM "sessionStore" s WHERE s."id" >= h."from" AND s."id" < h."to")
FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS h("from", "to", "n") ORDER BY h."n"`

const endedByHourQuery = `
SELECT floor(extract(epoch FROM "revokedAt" - $1::timestamptz) / 3600)::integer, COALESCE("endReason", '` + string(ReasonNotRecorded) + `'), count(*)
FROM "sessionStore" WHERE "revokedAt" >= $1 AND "revokedAt" < $2 GROUP BY 1, 2`

// Hours are the hours of a day that has passed.
const Hours = 24

// Activity is what happened to sessions in the past day, by the hour, the latest last. It
// covers those sessions that are still stored.
type Activity struct {
	// From is when the first hour began.
	From time.Time
	// Created are sessions that were created.
	Created [Hours]int64
	// Ended are sessions that were ended, by reason, without those that merely expired.
	Ended map[Reason]*[Hours]int64
}

// CountLive counts the live sessions if there are no more than about [CountedLive] of them, and counting
// takes the database no longer than two seconds. Otherwise it estimates, as [Store.EstimateLive] does, and
// isExact is false.
func (s *Store) CountLive(ctx context.Context) (n int64, isExact bool, err error) {
	if n, err = s.EstimateLive(ctx); err != nil || n > CountedLive {
		return n, false, err
	}
	var counted int64
	err = s.counting(ctx, func(tx pgx.Tx) error { return tx.QueryRow(ctx, countLiveQuery).Scan(&counted) })
	switch {
	case gaveUp(err) && ctx.Err() == nil:
		return n, false, nil
	case err != nil:
		return 0, false, sessionerr.Unavailable("count sessions", err)
	}
	return counted, true, nil
}

// Activity returns what happened to sessions in the past day. known is false if there were so many that counting
// them would take the database longer than two seconds.
func (s *Store) Activity(ctx context.Context, now time.Time) (a Activity, known bool, err error) {
	a = Activity{From: now.Add(-Hours * time.Hour), Ended: map[Reason]*[Hours]int64{}}
	from, to := make([]string, Hours), make([]string, Hours)
	for i := range Hours {
		from[i], to[i] = firstID(a.From.Add(time.Duration(i)*time.Hour)).String(), firstID(a.From.Add(time.Duration(i+1)*time.Hour)).String()
	}
	err = s.counting(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, createdByHourQuery, from, to)
		if err != nil {
			return err
		}
		created, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		if copy(a.Created[:], created) != Hours {
			return fmt.Errorf("%d hours", len(created))
		}
		rows, err = tx.Query(ctx, endedByHourQuery, a.From, now)
		if err != nil {
			return err
		}
		var hour int
		var reason string
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&hour, &reason, &n}, func() error {
			if a.Ended[Reason(reason)] == nil {
				a.Ended[Reason(reason)] = new([Hours]int64)
			}
			a.Ended[Reason(reason)][min(max(hour, 0), Hours-1)] += n
			return nil
		})
		return err
	})
	switch {
	case gaveUp(err) && ctx.Err() == nil:
		return Activity{}, false, nil
	case err != nil:
		return Activity{}, false, sessionerr.Unavailable("count what became of sessions", err)
	}
	return a, true, nil
}

func (s *Store) counting(ctx context.Context, count func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, countTimeout); err != nil {
			return err
		}
		return count(tx)
	})
}

// firstID is the smallest id that can be made at a time (RFC 9562 §5.7).
func firstID(t time.Time) uuid.UUID {
	var id uuid.UUID
	ms := t.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i)) //nolint:gosec // the lowest eight bits are meant
	}
	return id
}
