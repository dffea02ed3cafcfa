package migrations

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/rivermigrate"
)

// Step is a migration that would be run, or reverted.
type Step struct {
	Version int64
	Name    string
	// SQL are its statements, with their comments.
	SQL string
}

// PlanUp returns what [Up] would run, and changes nothing.
func PlanUp(ctx context.Context, pool *pgxpool.Pool) ([]Step, error) {
	now, err := read(ctx, pool)
	if err != nil {
		return nil, err
	}
	var steps []Step
	migrator, err := riverMigrator(pool, now.queue)
	if err != nil {
		return nil, err
	}
	if len(now.rivers) == 0 {
		steps = append(steps, Step{Name: riverName("schema"), SQL: createRiverSchema(now.queue) + ";\n"})
	}
	rivers, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{DryRun: true})
	if err != nil {
		return nil, fmt.Errorf("plan the job queue's migrations: %w", err)
	}
	for _, m := range rivers.Versions {
		steps = append(steps, Step{int64(m.Version), riverName(m.Name), strings.TrimSpace(m.SQL) + "\n"})
	}
	for _, m := range now.knownOurs {
		if _, ok := now.ours[m.Version]; ok {
			continue
		}
		sql, err := section(m.Name, "Up")
		if err != nil {
			return nil, err
		}
		steps = append(steps, Step{m.Version, m.Name, sql})
	}
	return steps, nil
}

// PlanDown returns what [Down] would undo, called until no migration after
// the given version is left, and changes nothing.
func PlanDown(ctx context.Context, pool *pgxpool.Pool, to int64) ([]Step, error) {
	now, err := read(ctx, pool)
	if err != nil {
		return nil, err
	}
	if now.newer() != 0 {
		return nil, ErrNewer
	}
	var steps []Step
	for _, m := range slices.Backward(now.knownOurs) {
		if _, ok := now.ours[m.Version]; !ok || m.Version <= to {
			continue
		}
		sql, err := section(m.Name, "Down")
		if err != nil {
			return nil, err
		}
		steps = append(steps, Step{m.Version, m.Name, sql})
	}
	return steps, nil
}

// section returns the part of a migration's file that is for one direction.
func section(name, direction string) (string, error) {
	const mark = "-- +goose "
	text, err := files.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("read the migrations: %w", err)
	}
	var part strings.Builder
	inside := false
	for line := range strings.Lines(string(text)) {
		if directive, ok := strings.CutPrefix(line, mark); ok {
			switch directive = strings.TrimSpace(directive); directive {
			case "Up", "Down":
				inside = directive == direction
			}
			continue
		}
		if inside {
			part.WriteString(line)
		}
	}
	return strings.TrimSpace(part.String()) + "\n", nil
}
