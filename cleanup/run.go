package cleanup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// lookAhead is the number of batches for which ids are looked up at once. An
// index keeps the entries of what was just removed, and each search must skip
// them: so there are fewer searches than batches. A search disturbs requests as
// a batch does: one for 20 batches took two to four times as long as a batch, so one
// for 8 takes about as long.
const lookAhead = 8

// Run removes everything that is due, and returns what it did, even with an
// error: what was removed stays removed, and the next run continues. If the database crashes, the
// last of it may come back, and the next run removes it again.
func Run(ctx context.Context, store Store, cfg Config) (Summary, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return Summary{}, err
	}
	r := run{cfg: cfg, store: store, pace: firstBatch, start: time.Now(), summary: Summary{DryRun: cfg.DryRun}}
	err = r.all(ctx)
	r.summary.Duration = time.Since(r.start)
	if err != nil {
		return r.summary, fmt.Errorf("cleanup: %w", err)
	}
	return r.summary, nil
}

// run is a run in progress.
type run struct {
	cfg     Config
	store   Store
	pace    pace
	overdue time.Duration // for how long what it found last has been due; 0 if that is all there is
	start   time.Time
	summary Summary
}

func (r *run) all(ctx context.Context) (err error) {
	for _, rule := range r.cfg.rules() {
		if r.cfg.DryRun {
			err = r.count(ctx, rule)
		} else {
			err = r.remove(ctx, rule)
		}
		if err != nil {
			return err
		}
	}
	r.summary.OldestLeft, err = r.store.OldestEnded(ctx)
	return err
}

func (r *run) count(ctx context.Context, rule Rule) error {
	n, err := r.store.CountDue(ctx, rule)
	if err != nil {
		return err
	}
	removed := Removed{Pairs: n}
	if rule.Kind != Superfluous {
		removed.Sessions = n
	}
	r.summary.add(rule.Kind, removed)
	return nil
}

// remove removes all that is due by one rule.
func (r *run) remove(ctx context.Context, rule Rule) error {
	for {
		limit := int(r.pace) * lookAhead
		began := time.Now()
		due, err := r.store.FindDue(ctx, rule, limit)
		if err != nil {
			return err
		}
		more := len(due.IDs) == limit
		r.overdue = 0
		if more {
			r.overdue = due.Overdue
		}
		if len(due.IDs) > 0 {
			if err := r.rest(ctx, time.Since(began)); err != nil {
				return err
			}
		}
		before := r.summary
		if err := r.batches(ctx, rule, due.IDs); err != nil {
			return err
		}
		// Rows that stay locked are found again: a run does not wait for them.
		if !more || *before.of(rule.Kind) == *r.summary.of(rule.Kind) {
			return nil
		}
	}
}

// batches removes what was found.
func (r *run) batches(ctx context.Context, rule Rule, ids []uuid.UUID) error {
	for len(ids) > 0 {
		batch := ids[:min(int(r.pace), len(ids))]
		began := time.Now()
		removed, err := r.store.RemoveDue(ctx, rule, batch, batchTimeout)
		gaveUp := errors.Is(err, ErrSlow)
		if err != nil && (!gaveUp || len(batch) <= minBatch) {
			return err
		}
		took := time.Since(began)
		r.pace = r.pace.after(len(batch), removed.Took, gaveUp)
		if !gaveUp {
			ids = ids[len(batch):]
			r.done(rule, removed)
		}
		if err := r.rest(ctx, took); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) done(rule Rule, removed Removed) {
	r.summary.add(rule.Kind, removed)
	r.summary.Batches++
	r.summary.Duration = time.Since(r.start)
	if r.cfg.Progress != nil {
		r.cfg.Progress(r.summary)
	}
}

func (r *run) rest(ctx context.Context, took time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(restAfter(took, lateness(time.Since(r.cfg.Began), r.overdue))):
		return nil
	}
}

// Minutely returns a function for [Config.Progress] that calls the given one
// once per minute, for the first time after a minute.
func Minutely(report func(Summary)) func(Summary) { return every(time.Minute, report) }

func every(interval time.Duration, report func(Summary)) func(Summary) {
	next := interval
	return func(s Summary) {
		if s.Duration >= next {
			next = s.Duration.Truncate(interval) + interval
			report(s)
		}
	}
}
