package population

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

const chunk = 200_000

// fill makes size copies of the template, the quick way: without the indexes that can be made later, and both tables at
// once. progress is told the share that is done.
func (t template) fill(ctx context.Context, url string, size int, progress func(float64)) error {
	var statements, indexes []string
	err := connected(ctx, url, func(conn *pgx.Conn) (err error) {
		if statements, err = t.statements(ctx, conn, nil); err != nil {
			return err
		}
		indexes, err = dropIndexes(ctx, conn)
		return err
	})
	if err != nil {
		return err
	}

	const copying, indexing = 0.6, 0.3 // shares of the time, roughly
	var done atomic.Int64
	err = atOnce(ctx, url, func(conn *pgx.Conn, statement string) error {
		for from := 0; from < size; from += chunk {
			to := min(from+chunk, size)
			if _, err := conn.Exec(ctx, statement, from, to-1); err != nil {
				return err
			}
			progress(copying * float64(done.Add(int64(to-from))) / float64(size*len(statements)))
		}
		return nil
	}, statements[:1], statements[1:])
	if err != nil {
		return err
	}
	done.Store(0)
	half := len(indexes) / 2
	err = atOnce(ctx, url, func(conn *pgx.Conn, statement string) error {
		_, err := conn.Exec(ctx, statement)
		progress(copying + indexing*float64(done.Add(1))/float64(len(indexes)))
		return err
	}, indexes[:half], indexes[half:])
	if err != nil {
		return err
	}

	exec := func(conn *pgx.Conn, statement string) error {
		_, err := conn.Exec(ctx, statement)
		return err
	}
	if err := atOnce(ctx, url, exec, []string{fmt.Sprintf(`DELETE FROM %s WHERE "id" = '%s'`, sessionTable, t.id)}); err != nil {
		return err
	}

	return atOnce(ctx, url, exec, []string{`VACUUM (FREEZE, ANALYZE) ` + sessionTable}, []string{`VACUUM (FREEZE, ANALYZE) ` + tokenTable})
}

// atOnce runs groups of statements at once, those of a group one after the other.
func atOnce(ctx context.Context, url string, do func(*pgx.Conn, string) error, groups ...[]string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, statements := range groups {
		group.Go(func() error {
			return connected(ctx, url, func(conn *pgx.Conn) error {
				// Foreign keys and triggers are not checked row by row: the rows are known to fit together.
				if _, err := conn.Exec(ctx, `SET session_replication_role = replica; SET maintenance_work_mem = '1GB'`); err != nil {
					return err
				}
				for _, statement := range statements {
					if err := do(conn, statement); err != nil {
						return fmt.Errorf("%s: %w", statement, err)
					}
				}
				return nil
			})
		})
	}

	return group.Wait()
}

// dropIndexes drops all indexes but those of keys, and returns the statements that bring them back.
func dropIndexes(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, `
		SELECT format('DROP INDEX %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid) FROM pg_index i
		WHERE i.indrelid IN ($1::text::regclass, $2::text::regclass) AND NOT i.indisprimary
		  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
		ORDER BY 2`, sessionTable, tokenTable)
	if err != nil {
		return nil, err
	}
	var drop, definition string
	var drops, definitions []string
	if _, err := pgx.ForEachRow(rows, []any{&drop, &definition}, func() error {
		drops, definitions = append(drops, drop), append(definitions, definition)
		return nil
	}); err != nil {
		return nil, err
	}
	for _, drop := range drops {
		if _, err := conn.Exec(ctx, drop); err != nil {
			return nil, err
		}
	}

	return definitions, nil
}
