package shards

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
)

// Each further shard has a copy of the list of shards, for replicas that start while the first one
// does not answer. Entries are never taken out of the list and a removal is never taken back, so
// copies of different age make one list together.

// copyEntriesQuery writes nothing where nothing has changed.
const copyEntriesQuery = `
INSERT INTO "sessionStoreShardCopy" AS c ("number", "id", "name", "addedAt", "removedAt")
SELECT * FROM unnest($1::int[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[])
ON CONFLICT ("number") DO UPDATE SET "name" = EXCLUDED."name", "removedAt" = COALESCE(c."removedAt", EXCLUDED."removedAt")
WHERE c."name" <> EXCLUDED."name" OR c."removedAt" IS NULL AND EXCLUDED."removedAt" IS NOT NULL`

// CopyEntries has a further shard's database keep a copy of the list.
func CopyEntries(ctx context.Context, shard *pgxpool.Pool, entries []Entry) error {
	var numbers []int
	var ids []uuid.UUID
	var names []string
	var added []time.Time
	var removed []pgtype.Timestamptz
	for _, e := range entries {
		numbers, ids, names, added = append(numbers, e.Number), append(ids, e.ID), append(names, e.Name), append(added, e.AddedAt)
		removed = append(removed, pgtype.Timestamptz{Time: e.RemovedAt, Valid: !e.RemovedAt.IsZero()})
	}
	if _, err := (isolation.Pool{Pool: shard}).Exec(ctx, copyEntriesQuery, numbers, ids, names, added, removed); err != nil {
		return fmt.Errorf("copy the list of shards: %w", err)
	}
	return nil
}

const copiedEntriesQuery = `SELECT "number", "id", "name", "addedAt", "removedAt", false, false FROM "sessionStoreShardCopy" ORDER BY "number"`

// CopiedEntries is the copy in a further shard's database.
func CopiedEntries(ctx context.Context, shard *pgxpool.Pool) ([]Entry, error) {
	return read(ctx, shard, copiedEntriesQuery)
}

// Merge makes one list of several copies.
func Merge(copies ...[]Entry) (list []Entry) {
	for _, e := range slices.Concat(copies...) {
		i := slices.IndexFunc(list, func(known Entry) bool { return known.ID == e.ID })
		switch {
		case i < 0:
			list = append(list, e)
		case list[i].RemovedAt.IsZero():
			list[i].RemovedAt = e.RemovedAt
		}
	}
	slices.SortFunc(list, func(a, b Entry) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

// CheckFirst returns [ErrWrong] where a database is not that of the first shard which has the list
// that these entries are from.
func CheckFirst(ctx context.Context, first *pgxpool.Pool, want []Entry) error {
	entries, err := Entries(ctx, first)
	if err != nil {
		return err
	}
	for _, e := range want {
		if !slices.ContainsFunc(entries, func(known Entry) bool { return known.ID == e.ID && known.Number == e.Number }) {
			return wrong("the database of LATCHKEY_DATABASE_URL does not know the shard %q with the number %d", e.Name, e.Number)
		}
	}
	return nil
}
