// Package shards spreads sessions over several databases. A [Router] is a store of sessions on a
// [sessionstore.Store] for each shard, and promises what they do:
//
//   - A call about one session asks only its shard, which the session's id names. No look-up,
//     no statement more than with one database.
//   - A call about a subject asks all shards at once, because any may have sessions of the
//     subject from before a shard was added, drained or down. It is complete, or an error.
//   - A shard that does not answer is [sessionstore.ErrUnavailable] for its own sessions.
//     Subjects sign in to the next shard in their order meanwhile.
//   - A session of a shard that this process does not know is unavailable, and never invalid:
//     another replica may already know the shard.
package shards

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/placement"
	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// watchPause lies between two looks whether a shard answers, and watchTimeout is how long one
	// may take.
	watchPause, watchTimeout = time.Second, 2 * time.Second

	// refusedPause lies between two looks whether a shard that was refused may be used: they cost more.
	refusedPause = time.Minute

	// askTimeout is how long a shard may take where all are asked.
	askTimeout = 5 * time.Second
)

// maxLocks is how many connections of a shard's pool may hold the lock of a subject at once.
const maxLocks = 2

// FirstName is the name of the first shard, which has the number 0.
const FirstName = "first"

// Shard is a database with sessions.
type Shard struct {
	Number int
	Name   string
	// Weight is its share of new sessions; zero means that it gets none.
	Weight float64
	// Store has the Number as its Shard.
	Store *sessionstore.Store
	// Pool is for work apart from requests: sign-outs to finish, and locks of subjects.
	Pool *pgxpool.Pool
	// Check reports whether the database is this shard, migrated. A shard that has not passed
	// it once gets no request.
	Check func(context.Context) error
	// Admit, if set, is called after Check and may take its time: it returns [ErrRefused] where the
	// shard must not be used. Its preparations are finished when [Router.AwaitChecked] returns.
	Admit func(context.Context) error
}

// Config is what a router works with.
type Config struct {
	// Shards are all shards, the first one first. Required.
	Shards []Shard
	// Removed are the numbers of removed shards: their sessions have ended.
	Removed []int
	// SessionsPerSubject and SessionsPerSubjectAction are those of the stores.
	SessionsPerSubject       int
	SessionsPerSubjectAction sessionstore.LimitAction
	// Logger records shards that do not answer. Nil means [slog.Default].
	Logger *slog.Logger
}

// Router is a store of sessions that are spread over shards. It is safe for concurrent use.
type Router struct {
	cfg      Config
	first    *shard
	all      []*shard
	byNumber map[int]*shard
	open     []placement.Shard
	removed  map[int]bool
}

// shard is one of them, and whether it answers.
type shard struct {
	Shard

	// isChecked says that the database is this shard, and isUp that it answered last.
	isChecked, isUp atomic.Bool
	// locks bounds how many connections of the pool hold locks of subjects.
	locks chan struct{}
}

// New returns a router. It sends no query and starts no goroutine.
func New(cfg Config) (*Router, error) {
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	cfg.SessionsPerSubjectAction = cmp.Or(cfg.SessionsPerSubjectAction, sessionstore.EndOldest)
	r := &Router{cfg: cfg, byNumber: make(map[int]*shard), removed: make(map[int]bool)}
	for _, s := range cfg.Shards {
		switch {
		case s.Store == nil, s.Pool == nil, s.Check == nil:
			return nil, fmt.Errorf("shards: %q needs a store, a pool and a check", s.Name)
		case r.byNumber[s.Number] != nil, s.Number < 0, s.Number > sessionid.MaxShard:
			return nil, fmt.Errorf("shards: the number %d of %q is used twice, or is none", s.Number, s.Name)
		case s.Weight < 0, math.IsNaN(s.Weight), math.IsInf(s.Weight, 0):
			return nil, fmt.Errorf("shards: the weight of %q must be a number from 0 on", s.Name)
		}
		made := &shard{Shard: s, locks: make(chan struct{}, maxLocks)}
		r.all, r.byNumber[s.Number] = append(r.all, made), made
		if s.Weight > 0 {
			r.open = append(r.open, placement.Shard{Number: s.Number, Weight: s.Weight})
		}
	}
	if len(r.all) == 0 || r.all[0].Number != 0 {
		return nil, errors.New("shards: the first shard is missing")
	}
	if len(r.open) == 0 {
		return nil, errors.New("shards: all weights are 0, so no session could be created")
	}
	r.first = r.all[0]
	for _, number := range cfg.Removed {
		r.removed[number] = true
	}
	return r, nil
}

var (
	errUnknown   = errors.New("the session's shard is not known here: LATCHKEY_SHARDS lacks it")
	errUnchecked = errors.New("the session's shard has not answered yet")
	errNotUp     = errors.New("the shard did not answer when it was last asked")
)

// of returns the shard of a session.
func (r *Router) of(id uuid.UUID) (*sessionstore.Store, error) {
	number := sessionid.Shard(id)
	s := r.byNumber[number]
	switch {
	case s != nil:
		return s.use()
	case r.removed[number]:
		return nil, sessionstore.ErrNotFound
	}
	return nil, unavailable(errUnknown)
}

// by returns the shard of the session that a token is of.
func (r *Router) by(token string) (*sessionstore.Store, error) {
	id, ok := claimedSession(token)
	if !ok {
		return r.first.Store, nil // which refuses it
	}
	store, err := r.of(id)
	if err != nil && !errors.Is(err, errUnchecked) { // if a shard is not checked, it is not known which keys its sessions need
		if _, refused := r.first.Store.VerifyToken(token); errors.Is(refused, tokens.ErrInvalid) && !errors.Is(refused, tokens.ErrExpired) {
			return nil, refused
		}
	}
	return store, err
}

// use returns the shard's store.
func (s *shard) use() (*sessionstore.Store, error) {
	if !s.isChecked.Load() {
		return nil, unavailable(errUnchecked)
	}
	return s.Store, nil
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err) }

// able are the shards that are known to answer, or to be removed.
func (r *Router) able() (numbers []int) {
	for _, s := range r.all {
		if s.isUp.Load() {
			numbers = append(numbers, s.Number)
		}
	}
	return slices.AppendSeq(numbers, maps.Keys(r.removed))
}

// ask calls all shards at once, with their places in r.all, and returns the error of each.
func (r *Router) ask(ctx context.Context, do func(ctx context.Context, i int, s *shard) error) []error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	errs := make([]error, len(r.all))
	var asked sync.WaitGroup
	for i, s := range r.all {
		asked.Go(func() { errs[i] = do(ctx, i, s) })
	}
	asked.Wait()
	return errs
}

// askStores is ask for what all shards have to answer.
func (r *Router) askStores(ctx context.Context, do func(ctx context.Context, i int, store *sessionstore.Store) error) error {
	for i, err := range r.ask(ctx, func(ctx context.Context, i int, s *shard) error {
		store, err := s.use()
		if err != nil {
			return err
		}
		return do(ctx, i, store)
	}) {
		if err != nil {
			return fmt.Errorf("shard %q: %w", r.all[i].Name, err)
		}
	}
	return nil
}

// inAll reads rows from all databases that answer.
func inAll[T any](ctx context.Context, r *Router, scan pgx.RowToFunc[T], query string, args ...any) ([]T, error) {
	some := make([][]T, len(r.all))
	err := errors.Join(r.ask(ctx, func(ctx context.Context, i int, s *shard) error {
		if !s.isUp.Load() {
			return nil
		}
		return isolation.Pool{Pool: s.Pool}.Read(ctx, func(rows pgx.Rows) (err error) {
			some[i], err = pgx.CollectRows(rows, scan)
			return err
		}, query, args...)
	})...)
	if err != nil {
		return nil, unavailable(err)
	}
	return slices.Concat(some...), nil
}
