// Package replicas records in the database which replicas of the service run, and lists them for
// the operators' page. None of it is on the path of a request, and nothing depends on it.
package replicas

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
)

const (
	// Every is how often a replica is noted.
	Every = 10 * time.Second
	// soon is when it is noted again before it knows the database's clock.
	soon = time.Second
	// noteTimeout limits one write.
	noteTimeout = 5 * time.Second
	// silentAfter is when a replica that was not noted again counts as stopped, or cut off from the
	// database.
	silentAfter = 3*Every + noteTimeout
	// listed is how many replicas [List] returns.
	listed = 100
)

// Facts are what a replica reports about itself.
type Facts struct {
	// Offset is how far its clock is ahead of the database's, give or take Uncertainty.
	Offset, Uncertainty time.Duration
	// IsClockKnown is false until Offset is known.
	IsClockKnown bool
	// RevocationsAge is how old its knowledge of revocations is; negative before it has any.
	RevocationsAge time.Duration
}

// Replica is what was noted last.
type Replica struct {
	Facts

	// Name is the machine's, or the container's.
	Name, Version     string
	StartedAt, SeenAt time.Time
	// IsSilent says that it should have been noted again, and was not.
	IsSilent bool
}

// Config is the configuration of [New]. All fields are required.
type Config struct {
	Pool          *pgxpool.Pool
	Name, Version string
	Facts         func() Facts
	Logger        *slog.Logger
}

// Runner notes a replica. Make it with [New].
type Runner struct {
	cfg Config
	id  uuid.UUID
}

// New returns a runner. It sends no query and starts no goroutine.
func New(cfg Config) *Runner { return &Runner{cfg, uuid.New()} }

const (
	noteQuery = `
WITH "gone" AS (DELETE FROM "sessionStoreReplica" WHERE "seenAt" < now() - interval '1 hour' AND "id" <> $1)
INSERT INTO "sessionStoreReplica" ("id", "name", "version", "startedAt", "seenAt", "clockOffset", "clockUncertainty", "revocationsAge")
VALUES ($1, $2, $3, now(), now(), $4, $5, $6)
ON CONFLICT ("id") DO UPDATE SET "seenAt" = EXCLUDED."seenAt", "clockOffset" = EXCLUDED."clockOffset",
  "clockUncertainty" = EXCLUDED."clockUncertainty", "revocationsAge" = EXCLUDED."revocationsAge"`

	forgetQuery = `DELETE FROM "sessionStoreReplica" WHERE "id" = $1`

	listQuery = `
SELECT "name", "version", "startedAt", "seenAt", "seenAt" < now() - $1::interval, "clockOffset", "clockUncertainty", "revocationsAge"
FROM "sessionStoreReplica" ORDER BY "name", "startedAt" LIMIT $2`
)

// Run notes the replica until ctx ends, and then that it no longer runs. A failure to record it is logged once, and is
// not a reason to stop.
func (r *Runner) Run(ctx context.Context) error {
	fails := false
	for {
		facts, wait := r.cfg.Facts(), Every
		if !facts.IsClockKnown {
			wait = soon
		}
		err := r.note(ctx, facts)
		if err != nil && !fails && ctx.Err() == nil {
			r.cfg.Logger.WarnContext(ctx, "cannot record which replicas run", "error", err)
		}
		fails = err != nil
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			r.forget(context.WithoutCancel(ctx))
			return nil
		case <-timer.C:
		}
	}
}

func (r *Runner) note(ctx context.Context, facts Facts) error {
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	_, err := isolation.Pool{Pool: r.cfg.Pool}.Exec(ctx, noteQuery, pgtype.UUID{Bytes: r.id, Valid: true}, r.cfg.Name, r.cfg.Version,
		interval(facts.Offset, facts.IsClockKnown), interval(facts.Uncertainty, facts.IsClockKnown), interval(facts.RevocationsAge, facts.RevocationsAge >= 0))
	return err
}

// forget is a courtesy: a killed replica shows as silent.
func (r *Runner) forget(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := (isolation.Pool{Pool: r.cfg.Pool}).Exec(ctx, forgetQuery, pgtype.UUID{Bytes: r.id, Valid: true}); err != nil {
		r.cfg.Logger.DebugContext(ctx, "cannot record that this replica stops", "error", err)
	}
}

// List returns the replicas that run or ran in the last hour, at most a hundred. Those that
// stopped in an orderly way are not among them.
func List(ctx context.Context, pool *pgxpool.Pool) ([]Replica, error) {
	var found []Replica
	err := isolation.Pool{Pool: pool}.Read(ctx, func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, scan)
		return err
	}, listQuery, interval(silentAfter, true), listed)
	if err != nil {
		return nil, fmt.Errorf("list replicas: %w", err)
	}
	return found, nil
}

func scan(row pgx.CollectableRow) (Replica, error) {
	var r Replica
	var offset, uncertainty, age pgtype.Interval
	err := row.Scan(&r.Name, &r.Version, &r.StartedAt, &r.SeenAt, &r.IsSilent, &offset, &uncertainty, &age)
	r.Offset, r.Uncertainty, r.IsClockKnown, r.RevocationsAge = duration(offset), duration(uncertainty), offset.Valid, duration(age)
	if !age.Valid {
		r.RevocationsAge = -1
	}
	return r, err
}

func interval(d time.Duration, known bool) pgtype.Interval {
	return pgtype.Interval{Microseconds: d.Microseconds(), Valid: known}
}

func duration(i pgtype.Interval) time.Duration {
	return time.Duration(i.Microseconds) * time.Microsecond
}
