package shards

import (
	"cmp"
	"context"
	"errors"

	"github.com/google/uuid"

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
	err = firstOf(ctx, r.order(cmp.Or(params.Subject, params.IdempotencyKey)), func(s *shard) error {
		create := func(params sessionstore.CreateParams) (session sessionstore.Session, pair sessionstore.TokenPair, err error) {
			store, err := s.use()
			if err != nil {
				return session, pair, err
			}
			return store.Create(ctx, params)
		}
		var err error
		if r.isLimited(params.Subject) {
			session, pair, err = r.createLimited(ctx, s, uuid.Nil, params, create)
		} else {
			session, pair, err = create(params)
		}
		return err
	})
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
