package population

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

const (
	chunk = 200_000
	// aside keeps foreign keys and triggers from being checked row by row: the rows are known to fit together.
	aside              = `SET session_replication_role = replica`
	asideInTransaction = `SET LOCAL session_replication_role = replica`
)

// fill makes size copies of the template, the quick way: without the indexes that can be made later, and both tables at
// once. progress is told the share that is done.
func (t template) fill(ctx context.Context, url string, size int, progress func(float64)) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // whatever it did is committed
	statements, err := t.statements(ctx, conn, nil)
	if err != nil {
		return err
	}
	indexes, err := dropIndexes(ctx, conn)
	if err != nil {
		return err
	}

	const copying, indexing = 0.6, 0.3 // shares of the time, roughly
	var done atomic.Int64
	inserts := groups{{statements[0]}, statements[1:]}
	err = inserts.run(ctx, url, func(conn *pgx.Conn, statement string) error {
		for from := 0; from < size; from += chunk {
			to := min(from+chunk, size)
			if _, err := conn.Exec(ctx, statement, from, to-1); err != nil {
				return err
			}
			progress(copying * float64(done.Add(int64(to-from))) / float64(size*len(statements)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	done.Store(0)
	err = halves(indexes).run(ctx, url, func(conn *pgx.Conn, statement string) error {
		_, err := conn.Exec(ctx, statement)
		progress(copying + indexing*float64(done.Add(1))/float64(len(indexes)))
		return err
	})
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `DELETE FROM `+sessionTable+` WHERE "id" = $1`, t.id); err != nil {
		return err
	}

	return groups{{`VACUUM (FREEZE, ANALYZE) ` + sessionTable}, {`VACUUM (FREEZE, ANALYZE) ` + tokenTable}}.run(ctx, url,
		func(conn *pgx.Conn, statement string) error {
			_, err := conn.Exec(ctx, statement)
			return err
		})
}

// groups of statements are run at once, those of a group one after the other.
type groups [][]string

func halves(all []string) groups {
	middle := len(all) / 2

	return groups{all[:middle], all[middle:]}
}

func (g groups) run(ctx context.Context, url string, do func(*pgx.Conn, string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, statements := range g {
		group.Go(func() error {
			conn, err := pgx.Connect(ctx, url)
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close(ctx) }() // whatever it did is committed
			if _, err := conn.Exec(ctx, aside+`; SET maintenance_work_mem = '1GB'`); err != nil {
				return err
			}
			for _, statement := range statements {
				if err := do(conn, statement); err != nil {
					return fmt.Errorf("%s: %w", statement, err)
				}
			}
			return nil
		})
	}

	return group.Wait()
}

// dropIndexes drops all indexes but those of keys, and returns the statements that bring them back.
func dropIndexes(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, `
		SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
		WHERE i.indrelid IN ($1::text::regclass, $2::text::regclass) AND NOT i.indisprimary
		  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
		ORDER BY 2`, sessionTable, tokenTable)
	if err != nil {
		return nil, err
	}
	type index struct{ Name, Definition string }
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[index])
	if err != nil {
		return nil, err
	}
	var definitions []string
	for _, i := range indexes {
		if _, err := conn.Exec(ctx, `DROP INDEX `+i.Name); err != nil {
			return nil, err
		}
		definitions = append(definitions, i.Definition)
	}

	return definitions, nil
}
