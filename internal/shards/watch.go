package shards

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// admit is Admit, where it is set.
func (s *shard) admit(ctx context.Context) error {
	if s.Admit == nil {
		return nil
	}
	return s.Admit(ctx)
}

// Check looks at each shard once. The error is that of a database which is not the shard that it
// should be, is not migrated, or is refused; one that does not answer gets a line in the log, and is
// looked at again by [Router.Run].
func (r *Router) Check(ctx context.Context) error {
	errs := r.ask(ctx, func(ctx context.Context, _ int, s *shard) error { return s.Check(ctx) })
	for i, err := range errs {
		s := r.all[i]
		if err == nil {
			err = s.admit(ctx)
		}
		switch {
		case err == nil:
			s.isChecked.Store(true)
			s.isUp.Store(true)
		case isWrong(err):
			return fmt.Errorf("the shard %q: %w", s.Name, err)
		default:
			r.cfg.Logger.WarnContext(ctx, "a shard does not answer: its sessions are unavailable", "shard", s.Name, "error", err)
		}
	}
	return nil
}

// Run looks after the shards until ctx ends; then it returns nil.
func (r *Router) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range r.all {
		all.Go(func() { r.watch(ctx, s) })
		all.Go(func() { r.doNoted(ctx, s) })
	}
	all.Wait()
	return nil
}

// watch notes whether a shard answers.
func (r *Router) watch(ctx context.Context, s *shard) {
	var wrong error
	for {
		err := r.look(ctx, s)
		switch was := s.isUp.Load(); {
		case ctx.Err() != nil:
			return
		case err == nil:
			s.isUp.Store(true)
			if !was {
				r.cfg.Logger.InfoContext(ctx, "a shard answers again", "shard", s.Name)
			}
			wrong = nil
		default:
			s.isUp.Store(false)
			if was {
				r.cfg.Logger.WarnContext(ctx, "a shard does not answer: its sessions are unavailable", "shard", s.Name, "error", err)
			} else if isWrong(err) && (wrong == nil || wrong.Error() != err.Error()) {
				r.cfg.Logger.ErrorContext(ctx, "a shard cannot be used, and gets no request", "shard", s.Name, "error", err)
				wrong = err
			}
		}
		pause := watchPause
		if errors.Is(err, ErrRefused) {
			pause = refusedPause
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

func (r *Router) look(ctx context.Context, s *shard) error {
	limited, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	if s.isChecked.Load() {
		return s.Store.Ping(limited)
	}
	err := s.Check(limited)
	if err == nil {
		err = s.admit(ctx)
	}
	s.isChecked.Store(err == nil)
	return err
}

// AwaitChecked waits until the database of a shard is known to be it, and returns false if ctx
// ends before. Background work on the shard begins then.
func (r *Router) AwaitChecked(ctx context.Context, number int) bool {
	for s := r.byNumber[number]; !s.isChecked.Load(); {
		select {
		case <-time.After(watchPause):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// Status is how a shard is.
type Status struct {
	Number int
	Name   string
	Weight float64
	// IsUp reports that it answered when it was last checked.
	IsUp bool
}

// Status lists all shards, the first one first.
func (r *Router) Status() []Status {
	all := make([]Status, len(r.all))
	for i, s := range r.all {
		all[i] = Status{s.Number, s.Name, s.Weight, s.isUp.Load()}
	}
	return all
}

// Ping reports whether at least one shard takes new sessions now. It sends no query:
// [Router.Run] does, every second.
func (r *Router) Ping(context.Context) error {
	for _, s := range r.open {
		if r.byNumber[s.Number].isUp.Load() {
			return nil
		}
	}
	return unavailable(errors.New("no shard answers that takes new sessions"))
}
