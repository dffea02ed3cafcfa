package shards

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/placement"
	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Create is [sessionstore.Store.Create] on the subject's home or, while that does not answer, on the
// next shard in the subject's order. A session without a subject is created on the home of its
// idempotency key, or on any.
//
// An idempotency key is known on the shard that took it: if that shard fails between a request and
// its repetition, the repetition creates another session elsewhere.
func (r *Router) Create(ctx context.Context, params sessionstore.CreateParams) (session sessionstore.Session, pair sessionstore.TokenPair, err error) {
	order := r.order(cmp.Or(params.Subject, params.IdempotencyKey))
	if r.isLimited(params.Subject) {
		// Its sessions on a shard that does not answer cannot be counted, so no other shard stands in.
		return r.createLimited(ctx, order[0], uuid.Nil, params, func(params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
			store, err := order[0].use()
			if err != nil {
				return session, pair, err
			}
			return store.Create(ctx, params)
		})
	}
	for i, s := range order {
		isLast := i == len(order)-1
		if !isLast && !s.isUp.Load() && slices.ContainsFunc(order[i+1:], func(s *shard) bool { return s.isUp.Load() }) {
			continue
		}
		var store *sessionstore.Store
		if store, err = s.use(); err == nil {
			session, pair, err = store.Create(ctx, params)
		}
		if err == nil || ctx.Err() != nil || !wasNotAsked(err) { // a caller that hangs up says nothing about the shard
			return session, pair, err
		}
		s.isUp.Store(false)
	}
	return session, pair, err
}

// Replace is [sessionstore.Store.Replace]: the new session is on the shard of the one that it
// replaces, whichever its subject's home is, so that there is never a moment with both or with none.
func (r *Router) Replace(ctx context.Context, replaced sessionstore.Replaced, params sessionstore.CreateParams) (session sessionstore.Session, pair sessionstore.TokenPair, err error) {
	fail := func(err error) (sessionstore.Session, sessionstore.TokenPair, error) { return session, pair, err }
	id, claimed := replaced.SessionID, true
	if replaced.Token != "" {
		id, claimed = claimedSession(replaced.Token)
	}
	if !claimed {
		return r.first.Store.Replace(ctx, replaced, params) // which refuses it
	}
	store, err := r.of(id)
	if err != nil && replaced.Token != "" && !errors.Is(err, errUnchecked) {
		if _, refused := r.first.Store.VerifyToken(replaced.Token); errors.Is(refused, tokens.ErrInvalid) {
			return r.first.Store.Replace(ctx, replaced, params) // which refuses it
		}
	}
	switch {
	case errors.Is(err, sessionstore.ErrNotFound):
		return fail(sessionstore.ErrNotReplaceable)
	case err != nil:
		return fail(err)
	}
	replace := func(params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
		return store.Replace(ctx, replaced, params)
	}
	subject := params.Subject
	if subject == "" && r.cfg.SessionsPerSubject > 0 {
		switch h, err := store.History(ctx, id); {
		case err == nil:
			subject = h.Session.Subject
		case !errors.Is(err, sessionstore.ErrNotFound):
			return fail(err)
		}
	}
	if !r.isLimited(subject) {
		return replace(params)
	}
	// A subject that only the old session's row names still comes only from that row.
	counted := params
	counted.Subject = subject
	return r.createLimited(ctx, r.byNumber[sessionid.Shard(id)], id, counted, func(with sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
		params.Elsewhere = with.Elsewhere
		return replace(params)
	})
}

// order has the shards that take new sessions of a key, its home first; any order without a key.
func (r *Router) order(key string) []*shard {
	if key == "" {
		key = rand.Text()
	}
	numbers := placement.Order(key, r.open)
	order := make([]*shard, len(numbers))
	for i, number := range numbers {
		order[i] = r.byNumber[number]
	}
	return order
}

// wasNotAsked reports whether a database cannot have done what was requested: nothing was
// sent.
func wasNotAsked(err error) bool {
	if errors.Is(err, errUnchecked) || pgconn.SafeToRetry(err) {
		return true
	}
	_, failed := errors.AsType[*pgconn.ConnectError](err)
	return failed
}

// lockQuery makes the creations of one subject on all shards wait for each other. The stores'
// own lock of a subject is another one, and comes after it.
const lockQuery = `SELECT pg_advisory_xact_lock(hashtextextended($1, "sessionStoreLock"(2893475601288341907)))`

func (r *Router) isLimited(subject string) bool { return r.cfg.SessionsPerSubject > 0 && subject != "" }

// createLimited calls create so that the subject has no more sessions on all shards than it may:
// one creation at a time, because each holds the lock on the subject's home, counts the sessions on
// the other shards, and has those of them end that are older than what stays. The session
// replaced, if there is one, does not count.
func (r *Router) createLimited(ctx context.Context, on *shard, replaced uuid.UUID, params sessionstore.CreateParams,
	create func(sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error),
) (session sessionstore.Session, pair sessionstore.TokenPair, err error) {
	fail := func(err error) (sessionstore.Session, sessionstore.TokenPair, error) {
		return sessionstore.Session{}, sessionstore.TokenPair{}, err
	}
	unlock, err := r.order(params.Subject)[0].lock(ctx, params.Subject)
	if err != nil {
		return fail(err)
	}
	defer unlock()
	live, err := r.newest(ctx, params.Subject)
	if err != nil {
		return fail(err)
	}
	live = slices.DeleteFunc(live, func(s sessionstore.Session) bool { return s.ID == replaced })
	surplus := 0 // how many of them have to go, the oldest first
	if r.cfg.SessionsPerSubjectAction == sessionstore.EndOldest {
		surplus = max(0, len(live)+1-r.cfg.SessionsPerSubject)
	}
	isElsewhere := func(s sessionstore.Session) bool { return sessionid.Shard(s.ID) != on.Number }
	for _, s := range live[surplus:] {
		if isElsewhere(s) {
			params.Elsewhere++
		}
	}
	if session, pair, err = create(params); err != nil {
		return fail(err)
	}
	if slices.ContainsFunc(live, func(s sessionstore.Session) bool { return s.ID == session.ID }) {
		surplus-- // the request was sent again, and nothing was created
	}
	for _, old := range live[:max(0, surplus)] {
		if !isElsewhere(old) {
			continue // the store has seen to it
		}
		if err := r.Invalidate(ctx, old.ID, sessionstore.Cause{Reason: sessionstore.ReasonLimit, By: session.ID.String()}); err != nil {
			return fail(fmt.Errorf("end a session for a new one: %w", err)) // the next creation ends it
		}
	}
	return session, pair, nil
}

// newest are the subject's newest live sessions on all shards, the oldest of them first: at least
// as many as it may have and a page more, if there are so many. However many there are, one
// creation reads and ends no more; the next ones end the rest.
func (r *Router) newest(ctx context.Context, subject string) (live []sessionstore.Session, err error) {
	var params sessionstore.ListParams
	for enough := r.cfg.SessionsPerSubject + sessionstore.DefaultListLimit; len(live) < enough; {
		page, err := r.List(ctx, subject, params)
		if err != nil {
			return nil, err
		}
		live = append(live, page.Sessions...)
		if params.Cursor = page.NextCursor; params.Cursor == "" {
			break
		}
	}
	slices.SortFunc(live, func(a, b sessionstore.Session) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return live, nil
}

// lock waits for the subject's lock. It is held on a connection apart from those of requests:
// otherwise its waiters could keep its holder from getting a connection.
func (s *shard) lock(ctx context.Context, subject string) (unlock func(), err error) {
	select {
	case s.locks <- struct{}{}:
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
	release := func() { <-s.locks }
	tx, err := isolation.Pool{Pool: s.Pool}.Begin(ctx)
	if err == nil {
		if _, err = tx.Exec(ctx, lockQuery, subject); err != nil {
			rollback(ctx, tx)
		}
	}
	if err != nil {
		release()
		return nil, unavailable(err)
	}
	return func() {
		rollback(ctx, tx)
		release()
	}, nil
}

// rollback gives up the transaction even if ctx has ended.
func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), watchTimeout)
	defer cancel()
	_ = tx.Rollback(ctx) // it has changed nothing
}
