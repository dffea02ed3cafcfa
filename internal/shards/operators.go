package shards

import (
	"context"
	"slices"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// The methods below are the further queries of the operators' page: each is complete, or an error.

// mostSubjects is how many [sessionstore.Store.Subjects] returns.
const mostSubjects = 10

// Subjects is [sessionstore.Store.Subjects] over all shards, in the order of their bytes.
func (r *Router) Subjects(ctx context.Context, beginning string) ([]string, error) {
	some := make([][]string, len(r.all))
	if err := r.askStores(ctx, func(ctx context.Context, i int, store *sessionstore.Store) (err error) {
		some[i], err = store.Subjects(ctx, beginning)
		return err
	}); err != nil {
		return nil, err
	}
	all := slices.Concat(some...)
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), mostSubjects)], nil
}

// Thefts is [sessionstore.Store.Thefts] over all shards.
func (r *Router) Thefts(ctx context.Context, params sessionstore.ListParams) (sessionstore.TheftPage, error) {
	place := func(report sessionstore.LeakReport) []byte { return byTime(report.DetectedAt, report.SessionID) }
	thefts, next, err := pageOf(ctx, r, params, place, func(ctx context.Context, store *sessionstore.Store) ([]sessionstore.LeakReport, string, error) {
		page, err := store.Thefts(ctx, params)
		return page.Thefts, page.NextCursor, err
	})
	return sessionstore.TheftPage{Thefts: thefts, NextCursor: next}, err
}

// CountLive is [sessionstore.Store.CountLive] for all shards: it is exact where each of them is.
func (r *Router) CountLive(ctx context.Context) (n int64, isExact bool, err error) {
	some, exact := make([]int64, len(r.all)), make([]bool, len(r.all))
	err = r.askStores(ctx, func(ctx context.Context, i int, store *sessionstore.Store) (err error) {
		some[i], exact[i], err = store.CountLive(ctx)
		return err
	})
	return sum(some), !slices.Contains(exact, false), err
}

// EstimateLive is [sessionstore.Store.EstimateLive] for all shards.
func (r *Router) EstimateLive(ctx context.Context) (int64, error) {
	return r.estimate(ctx, (*sessionstore.Store).EstimateLive)
}

// EstimateKept is [sessionstore.Store.EstimateKept] for all shards.
func (r *Router) EstimateKept(ctx context.Context) (int64, error) {
	return r.estimate(ctx, (*sessionstore.Store).EstimateKept)
}

// Activity is [sessionstore.Store.Activity] for all shards: it is known where it is of each of them.
func (r *Router) Activity(ctx context.Context, now time.Time) (all sessionstore.Activity, known bool, err error) {
	some, knows := make([]sessionstore.Activity, len(r.all)), make([]bool, len(r.all))
	err = r.askStores(ctx, func(ctx context.Context, i int, store *sessionstore.Store) (err error) {
		some[i], knows[i], err = store.Activity(ctx, now)
		return err
	})
	if err != nil || slices.Contains(knows, false) {
		return all, false, err
	}
	all = sessionstore.Activity{From: some[0].From, Ended: map[sessionstore.Reason]*[sessionstore.Hours]int64{}}
	for _, a := range some {
		addHours(&all.Created, &a.Created)
		for reason, n := range a.Ended {
			if all.Ended[reason] == nil {
				all.Ended[reason] = new([sessionstore.Hours]int64)
			}
			addHours(all.Ended[reason], n)
		}
	}
	return all, true, nil
}

func addHours(to, more *[sessionstore.Hours]int64) {
	for i, n := range more {
		to[i] += n
	}
}

func (r *Router) estimate(ctx context.Context, estimate func(*sessionstore.Store, context.Context) (int64, error)) (int64, error) {
	some := make([]int64, len(r.all))
	err := r.askStores(ctx, func(ctx context.Context, i int, store *sessionstore.Store) (err error) {
		some[i], err = estimate(store, ctx)
		return err
	})
	return sum(some), err
}

func sum(some []int64) (n int64) {
	for _, m := range some {
		n += m
	}
	return n
}
