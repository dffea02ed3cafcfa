package memstore

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Create makes a session and its token pair: see [sessionstore.Store.Create].
func (s *Store) Create(ctx context.Context, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
	return s.create(ctx, params, sessionstore.Replaced{})
}

// Replace makes a session in place of another, which ends: see [sessionstore.Store.Replace].
func (s *Store) Replace(ctx context.Context, replaced sessionstore.Replaced, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
	if replaced == (sessionstore.Replaced{}) {
		return sessionstore.Session{}, sessionstore.TokenPair{}, &sessionstore.ArgumentError{Field: "replaces", Problem: "names no session"}
	}
	return s.create(ctx, params, replaced)
}

// errChanged says that the session to replace was changed while the new one was
// being made from it.
var errChanged = errors.New("the session has changed in the meantime")

func (s *Store) create(ctx context.Context, params sessionstore.CreateParams, replaced sessionstore.Replaced) (sessionstore.Session, sessionstore.TokenPair, error) {
	fail := func(err error) (sessionstore.Session, sessionstore.TokenPair, error) {
		return sessionstore.Session{}, sessionstore.TokenPair{}, err
	}
	request, err := s.core.Check(params, replaced)
	if err != nil {
		return fail(err)
	}
	for {
		// The configuration's functions are called without the lock: they may use the store.
		old, why := s.replaceable(request)
		var draft sessionstore.Draft
		if why == nil {
			if draft, err = s.core.Draft(ctx, request, old); err != nil {
				return fail(err)
			}
		}
		made, now, err := s.put(request, draft, old, why)
		if errors.Is(err, errChanged) {
			continue
		}
		if err != nil {
			return fail(err)
		}
		pair, err := s.core.Sign(made.pair, now)
		if err != nil {
			return fail(err)
		}
		return s.view(&made, now), pair, nil
	}
}

// replaceable returns the session to replace, or why it cannot be.
func (s *Store) replaceable(request sessionstore.Request) (sessionstore.Session, error) {
	if request.Replaces() == uuid.Nil {
		return sessionstore.Session{}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	r := s.rows[request.Replaces()]
	if r == nil {
		return sessionstore.Session{}, sessionstore.ErrNotReplaceable
	}
	if err := request.CheckReplaced(r.session, r.pair, now); err != nil {
		return sessionstore.Session{}, err
	}
	return s.view(r, now), nil
}

// put keeps the session of a draft, or finds the one that the same request made before.
// why is the error if there is neither.
func (s *Store) put(request sessionstore.Request, draft sessionstore.Draft, old sessionstore.Session, why error) (row, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	if before, isThere := s.keys[request.Key()]; isThere && s.isKnown(before, request, now) {
		switch {
		case before.creation.digest != request.Digest():
			return row{}, now, sessionstore.ErrIdempotencyKeyReused
		case !s.core.IsLive(before.pair, now):
			return row{}, now, sessionstore.ErrEnded
		}
		return *before, now, nil
	}
	if why != nil {
		return row{}, now, why
	}
	replaced := s.rows[request.Replaces()]
	if request.Replaces() != uuid.Nil && (replaced == nil || replaced.session.Checksum != old.Checksum || request.CheckReplaced(replaced.session, replaced.pair, now) != nil) {
		return row{}, now, errChanged
	}
	draft.Begin(now)
	if err := s.makeRoom(draft.Session, replaced, now); err != nil {
		return row{}, now, err
	}
	if replaced != nil {
		replaced.end(sessionstore.Cause{Reason: sessionstore.ReasonReplaced, By: draft.Session.ID.String()}, now)
	}
	made := &row{session: draft.Session, pair: draft.Pair}
	if request.Key() != "" {
		made.creation = &creation{request.Key(), request.Digest()}
	}
	kept := s.view(made, now) // what the caller passed belongs to the caller
	made.session.Data, made.session.Claims = kept.Data, kept.Claims
	s.add(made, now)
	return *made, now, nil
}

// isKnown reports whether a session counts as made by the request's key. A replacement is known
// by the session that it replaced only for a while; after that, it is no longer found by it.
func (s *Store) isKnown(before *row, request sessionstore.Request, now time.Time) bool {
	within := s.core.KnownFor(request)
	if within == 0 {
		return request.Key() != ""
	}
	return now.Before(before.session.CreatedAt.Add(within)) && before.creation.digest == request.Digest() && s.core.IsLive(before.pair, now)
}

// makeRoom ends the oldest of a subject's sessions for a new one, or refuses that. The one
// to be replaced does not count.
func (s *Store) makeRoom(session sessionstore.Session, replaced *row, now time.Time) error {
	if s.most == 0 || session.Subject == "" {
		return nil
	}
	var live []*row
	for _, r := range s.subjects[session.Subject] {
		if r != replaced && s.core.IsLive(r.pair, now) {
			live = append(live, r)
		}
	}
	tooMany := len(live) + 1 - s.most
	if tooMany <= 0 {
		return nil
	}
	if s.core.Config().SessionsPerSubjectAction == sessionstore.RefuseNew {
		return sessionstore.ErrTooManySessions
	}
	for _, r := range live[:tooMany] {
		r.end(sessionstore.Cause{Reason: sessionstore.ReasonLimit, By: session.ID.String()}, now)
	}
	return nil
}
