// Package migrations creates and changes the database schema.
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//		"os"
//
//		"github.com/jackc/pgx/v5/pgxpool"
//
//		"github.com/latchkey-sessions/latchkey/migrations"
//	)
//
//	func main() {
//		ctx := context.Background()
//		pool := must(pgxpool.New(ctx, os.Getenv("LATCHKEY_DATABASE_URL")))
//		for _, migration := range must(migrations.Up(ctx, pool)) {
//			fmt.Println("migrated:", migration)
//		}
//	}
//
//	func must[T any](value T, err error) T {
//		if err != nil {
//			log.Fatal(err)
//		}
//		return value
//	}
//
// It promises that several replicas may migrate at once (one does, the others
// wait), that requests continue meanwhile (see [Up]), that an interrupted
// migration continues when it is run again, and that the previous
// release keeps working while replicas are replaced one by one.
package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
)

var (
	// ErrBehind says that migrations are pending.
	ErrBehind = errors.New("the database schema is behind this program: run `api migrate`")
	// ErrNewer says that the newest migration in the database is not known here.
	ErrNewer = errors.New("the database schema was made by a newer program: use that program to downgrade it")
)

// Up runs all pending migrations, the job queue's first, and returns those that
// it ran. Requests continue meanwhile: a step gives up after a fifth of a second
// if it does not get its lock, because requests queue up behind it, and is
// retried for up to ten minutes.
func Up(ctx context.Context, pool *pgxpool.Pool) ([]Applied, error) {
	var applied []Applied
	err := patiently(ctx, pool, func(pool *pgxpool.Pool) error {
		rivers, err := riverUp(ctx, pool)
		applied = append(applied, rivers...)
		return err
	})
	for done := false; err == nil && !done; {
		err = provide(ctx, pool, func(p *goose.Provider) error {
			result, err := p.UpByOne(ctx)
			if done = errors.Is(err, goose.ErrNoNextVersion); done {
				return nil
			}
			if err == nil {
				applied = append(applied, fromResult(result))
			}
			return err
		})
	}
	if err != nil {
		return applied, fmt.Errorf("migrate: %w", err)
	}
	return applied, nil
}

// Down reverts the newest migration. The data that it added is lost.
// The job queue's migrations stay.
func Down(ctx context.Context, pool *pgxpool.Pool) (Applied, error) {
	now, err := read(ctx, pool)
	if err == nil && now.newer() != 0 {
		err = ErrNewer
	}
	var applied Applied
	if err == nil {
		err = provide(ctx, pool, func(p *goose.Provider) error {
			result, err := p.Down(ctx)
			if err == nil {
				applied = fromResult(result)
			}
			return err
		})
	}
	if err != nil {
		return Applied{}, fmt.Errorf("migrate down: %w", err)
	}
	return applied, nil
}

// Check returns [ErrBehind] if migrations are pending, and [ErrSchema] if it is not clear
// which installation is meant. A schema that is newer than this program is fine, see [Newer].
func Check(ctx context.Context, pool *pgxpool.Pool) error {
	now, err := read(ctx, pool)
	if err != nil {
		return err
	}
	for _, m := range now.list() {
		if m.AppliedAt.IsZero() {
			return ErrBehind
		}
	}
	return nil
}

// Newer returns the version of a schema that is newer than this program, else 0.
// Such a schema works: each migration is made for the previous release too.
func Newer(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	now, err := read(ctx, pool)
	return now.newer(), err
}
