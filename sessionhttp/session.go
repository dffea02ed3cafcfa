package sessionhttp

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

var (
	// ErrDiscarded says that a change came too late: the request has failed, and none of its
	// changes are stored.
	ErrDiscarded = errors.New("the request has failed: its changes are not stored")
	// ErrBusy says that another change to the session takes too long. A function passed
	// to Update that itself calls Update or Save gets it.
	ErrBusy = errors.New("another change of the session has not ended")
	// ErrBegun says that the response has begun: it can no longer hand tokens to the client.
	ErrBegun = errors.New("the response has begun: a session begins, or is renewed, before that")
)

// Session is the session of a request. Its methods may be called by several
// goroutines, even after the handler has returned.
type Session[T any] struct {
	// Info is the session as it was loaded, without its data. Renew and Extend change it, and so
	// does storing the first change of a visitor, who has none before: it must not be read
	// meanwhile.
	Info sessionstore.Session
	// Claims are those of the access token that the request came with, or got while it was
	// served.
	Claims tokens.Claims

	manager *Manager[T]
	id      atomic.Pointer[uuid.UUID]     // of Info, for the log, which waits for no turn
	access  atomic.Pointer[tokens.Secret] // the present access token, if it is known
	// current is what Read returns: the stored data with the changes that are not stored yet.
	current atomic.Pointer[version[T]]

	turn    chan struct{} // held by the user of the fields below
	stored  *version[T]
	changes []func(*T) error // turned stored into current

	pair      *sessionstore.TokenPair // of a refresh during the request, or of Renew; nil without one
	refreshed time.Time               // when that refresh was; zero for Renew

	alone  bool                      // no response waits for changes or tokens: see Open and Load
	header http.Header               // which gets tokens at once; nil if the response does, or none are handed over
	handed *handed                   // what the response hands over; nil without one
	guest  sessionstore.CreateParams // for the session that a visitor's first change makes

	phase atomic.Int32
}

// The session's phase decides what happens to a change.
const (
	waiting   int32 = iota // it waits for the response to begin
	direct                 // it is stored at once
	discarded              // it is refused: the request has failed
	ended                  // it is refused: the session has ended
)

// session returns the session for stored data. With an error it has no data.
func (m *Manager[T]) session(ctx context.Context, info sessionstore.Session, claims tokens.Claims) (*Session[T], error) {
	stored, err := m.open(ctx, info)
	info.Data, info.Checksum = nil, ""
	s := &Session[T]{Info: info, Claims: claims, manager: m, stored: stored, turn: make(chan struct{}, 1)}
	s.id.Store(&info.ID)
	s.current.Store(stored)
	return s, err
}

// becomes turns s into the session that was made for it: a visitor's first, or one that replaces it. The
// response hands the pair to the client. It needs the turn.
func (s *Session[T]) becomes(info sessionstore.Session, pair sessionstore.TokenPair) {
	s.stored = &version[T]{data: info.Data, checksum: info.Checksum}
	s.giveUp() // the changes are stored
	info.Data, info.Checksum = nil, ""
	s.Info = info
	s.id.Store(&info.ID)
	s.access.Store(&pair.AccessToken)
	s.pair, s.refreshed = &pair, time.Time{}
	if s.header != nil {
		s.manager.cfg.Transport.Write(s.header, pair)
	}
}

// Read returns a copy of the data, with all changes. The copy is the caller's.
func (s *Session[T]) Read() T {
	value, err := s.current.Load().read()
	if err != nil {
		panic(err) // it has been decoded before
	}
	return value
}

// Update changes the data. Before the response begins, it returns at once, and the
// changes are stored right before the first byte; after that, it returns when they are
// stored. If f fails or panics, nothing has changed, and the error is f's.
//
// Should another request have changed the data meanwhile, f is called again, with what is
// stored: several times if necessary, and by whichever goroutine begins the response. So f
// should depend only on the data it is given and on values that do not change, and it must
// not call Update or Save. A handler whose response reports what is stored must call
// [Session.Save] before [Session.Read].
//
// Errors from storing are those of [sessionstore.Store.Update], which leave the stored session unchanged; [ErrConflict]
// only if every attempt within [Config].SaveTimeout met others' changes. That time is the only limit: the end of ctx,
// which may be the request's, stops nothing.
//
// [ErrConflict]: sessionstore.ErrConflict
func (s *Session[T]) Update(ctx context.Context, f func(*T) error) error {
	ctx, cancel := s.manager.saving(ctx)
	defer cancel()
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.release()
	if err := s.refusal(); err != nil {
		return err
	}
	now := s.current.Load()
	next, err := now.change(f)
	if err != nil || next == now {
		return err
	}
	if err := s.refusal(); err != nil { // f may have taken a while
		return err
	}
	s.current.Store(next)
	s.changes = append(s.changes, f)
	if s.phase.Load() == waiting {
		return nil
	}
	return s.save(ctx)
}

// Save stores the changes that wait for the response to begin. If it fails, they are given up,
// and the session is as it was stored. The end of ctx does not stop it.
func (s *Session[T]) Save(ctx context.Context) error {
	ctx, cancel := s.manager.saving(ctx)
	defer cancel()
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.release()
	if len(s.changes) == 0 {
		return nil
	}
	if err := s.refusal(); err != nil {
		return err
	}
	return s.save(ctx)
}

// refusal is the error of a change that can no longer be stored.
func (s *Session[T]) refusal() error {
	switch s.phase.Load() {
	case discarded:
		return ErrDiscarded
	case ended:
		return sessionstore.ErrEnded
	case direct:
		if s.Info.ID == uuid.Nil && !s.alone {
			return ErrBegun
		}
	}
	return nil
}

// Modified reports whether there are changes that are not stored yet.
func (s *Session[T]) Modified() bool { return s.current.Load().checksum == "" }

// AccessToken is the session's access token, for a call to an API on its user's behalf. It is
// empty if the program has none: for a session that was loaded by its id, and for a
// visitor.
func (s *Session[T]) AccessToken() tokens.Secret {
	if access := s.access.Load(); access != nil {
		return *access
	}
	return ""
}

// saving is the context for work that must not depend on the request's end.
func (m *Manager[T]) saving(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), m.cfg.SaveTimeout)
}

// take waits for its turn to change the session.
func (s *Session[T]) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ErrBusy
	}
}

func (s *Session[T]) release() { <-s.turn }

// giveUp forgets the changes that are not stored. It needs the turn.
func (s *Session[T]) giveUp() {
	s.changes = nil
	s.current.Store(s.stored)
}
