package migrations

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
)

// Status is a migration that this program knows, or that the database has.
type Status struct {
	Version int64
	Name    string
	// AppliedAt is zero for a pending one.
	AppliedAt time.Time
	// JobQueue says that it is one of the job queue's, which are numbered
	// separately.
	JobQueue bool
	// Newer says that this program does not know it.
	Newer bool
}

// List returns every migration with the time when it was run, the job queue's
// first. It changes nothing.
func List(ctx context.Context, pool *pgxpool.Pool) ([]Status, error) {
	now, err := read(ctx, pool)
	if err != nil {
		return nil, err
	}
	return now.list(), nil
}

// state is what the database has and what this program knows.
type state struct {
	queue                  string              // the job queue's schema
	ours, rivers           map[int64]time.Time // when each version was run
	knownOurs, knownRivers []Status
}

// read uses statements that change nothing, unlike the libraries', and that work
// through a pooler.
func read(ctx context.Context, pool *pgxpool.Pool) (state, error) {
	const exist = `SELECT to_regclass($1) IS NOT NULL, to_regclass($2) IS NOT NULL`
	// goose writes the time in the session's zone, without the zone.
	const ours = `SELECT "version_id", "tstamp" AT TIME ZONE current_setting('TimeZone')
		FROM ` + versionTable + ` WHERE "is_applied" AND "version_id" > 0`

	queue, err := QueueSchema(ctx, pool)
	if err != nil {
		return state{}, err
	}
	s, err := known(pool, queue)
	if err != nil {
		return state{}, err
	}
	riverTable := queue + ".river_migration"
	rivers := `SELECT "version", "created_at" FROM ` + riverTable + ` WHERE "line" = 'main'`
	var hasOurs, hasRivers bool
	if err := pool.QueryRow(ctx, exist, versionTable, riverTable).Scan(&hasOurs, &hasRivers); err != nil {
		return state{}, fmt.Errorf("read the state of the schema: %w", err)
	}
	if hasOurs {
		s.ours, err = readVersions(ctx, pool, ours)
	}
	if hasRivers && err == nil {
		s.rivers, err = readVersions(ctx, pool, rivers)
	}
	return s, err
}

func readVersions(ctx context.Context, pool *pgxpool.Pool, query string) (map[int64]time.Time, error) {
	rows, err := pool.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("read the state of the schema: %w", err)
	}
	versions := map[int64]time.Time{}
	var version int64
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&version, &at}, func() error {
		versions[version] = at
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the state of the schema: %w", err)
	}
	return versions, nil
}

// known lists what this program can run.
func known(pool *pgxpool.Pool, queue string) (state, error) {
	migrator, err := riverMigrator(pool, queue)
	if err != nil {
		return state{}, err
	}
	s := state{queue: queue}
	for _, m := range migrator.AllVersions() {
		s.knownRivers = append(s.knownRivers, Status{Version: int64(m.Version), Name: riverName(m.Name), JobQueue: true})
	}
	entries, err := files.ReadDir(".") // sorted by name
	if err != nil {
		return state{}, fmt.Errorf("read the migrations: %w", err)
	}
	for _, entry := range entries {
		version, err := goose.NumericComponent(entry.Name())
		if err != nil {
			return state{}, fmt.Errorf("read the migrations: %w", err)
		}
		s.knownOurs = append(s.knownOurs, Status{Version: version, Name: entry.Name()})
	}
	return s, nil
}

func (s state) list() []Status {
	var list []Status
	for _, part := range []struct {
		known   []Status
		applied map[int64]time.Time
	}{{s.knownRivers, s.rivers}, {s.knownOurs, s.ours}} {
		for _, m := range part.known {
			m.AppliedAt = part.applied[m.Version]
			list = append(list, m)
		}
	}
	for version := s.newest() + 1; version <= s.newer(); version++ {
		if at, ok := s.ours[version]; ok {
			list = append(list, Status{Version: version, Name: fmt.Sprintf("%05d, of a newer program", version), AppliedAt: at, Newer: true})
		}
	}
	return list
}

func (s state) newest() int64 {
	if len(s.knownOurs) == 0 {
		return 0
	}
	return s.knownOurs[len(s.knownOurs)-1].Version
}

// newer returns the newest version in the database that is not known, else 0.
func (s state) newer() int64 {
	var newer int64
	for version := range s.ours {
		if version > s.newest() {
			newer = max(newer, version)
		}
	}
	return newer
}
