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
	// ErrDiscarded says that a change came too late: the request has failed, and nothing of it
	// is stored.
	ErrDiscarded = errors.New("the request has failed: its changes are not stored")
	// ErrBusy says that another change of the session's takes too long. A function that
	// is given to Update and calls Update or Save itself gets it.
	ErrBusy = errors.New("another change of the session has not ended")
	// ErrBegun says that the response has begun: it can hand no tokens to the client any more.
	ErrBegun = errors.New("the response has begun: a session begins, or is renewed, before that")
)

// Session is the session of a request. Its methods may be called by several
// goroutines, even after the handler has returned.
type Session[T any] struct {
	// Info is the session as it was loaded, without its data. Renew and Extend change it, and so
	// does what stores the first change of a visitor, who has none before: nobody may
	// read it meanwhile.
	Info sessionstore.Session
	// Claims are those of the access token that the request came with, or got on its way.
	Claims tokens.Claims

	manager *Manager[T]
	id      atomic.Pointer[uuid.UUID]     // of Info, for the log, which waits for no turn
	access  atomic.Pointer[tokens.Secret] // the present access token, where it is known
	// current is what Read returns: what is stored, and the changes that are not yet.
	current atomic.Pointer[version[T]]

	turn    chan struct{} // has room for whoever may use what is below
	stored  *version[T]
	changes []func(*T) error // made of stored what current is

	pair      *sessionstore.TokenPair // of a refresh on the way, or of Renew; nil without one
	refreshed time.Time               // when that refresh was; zero for Renew

	alone  bool                      // no response waits for changes or tokens: see Open and Load
	header http.Header               // which gets tokens at once; nil where the response does, or nobody
	handed *handed                   // what the response hands over; nil without one
	guest  sessionstore.CreateParams // of the session that a visitor's first change makes

	phase atomic.Int32
}

// What becomes of a change is the session's phase.
const (
	waiting   int32 = iota // it waits for the response to begin
	direct                 // it is stored at once
	discarded              // it is refused: the request has failed
	ended                  // it is refused: the session has ended
)

// session returns the session of what is stored. With an error it has no data.
func (m *Manager[T]) session(ctx context.Context, info sessionstore.Session, claims tokens.Claims) (*Session[T], error) {
	stored, err := m.open(ctx, info)
	info.Data, info.Checksum = nil, ""
	s := &Session[T]{Info: info, Claims: claims, manager: m, stored: stored, turn: make(chan struct{}, 1)}
	s.id.Store(&info.ID)
	s.current.Store(stored)
	return s, err
}

// becomes makes s the session that was made for it: a visitor's first, or one in its place. The response
// hands the pair to the client. It needs the turn.
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

// Read returns a copy of the data, with all changes. It is the caller's own.
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
// should depend on the data it is given and on values that stay as they are, and it must
// not call Update or Save. A handler whose answer tells what is stored calls
// [Session.Save] before it calls [Session.Read].
//
// Errors when something is stored are those of [sessionstore.Store.Update], which leave the
// session as it is stored; [ErrConflict] only if all that was tried within
// [Config].SaveTimeout met others' changes. That time is the only limit: the end of ctx, which
// may be the request's, stops nothing.
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
	if err := s.refusal(); err != nil { // f may have taken its time
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

// refusal is the error of a change that nothing can come of.
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
// empty where the program has none: of a session that was loaded by its id, and of a
// visitor.
func (s *Session[T]) AccessToken() tokens.Secret {
	if access := s.access.Load(); access != nil {
		return *access
	}
	return ""
}

// saving is the context for what must not hang on the request's end.
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
