package sessionhttp

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
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

// contextKey is a manager's own: two of one type have two sessions in one request.
type contextKey struct{ manager any }

// From returns the session that this manager's [Manager.Handler] put into the context,
// or nil.
func (m *Manager[T]) From(ctx context.Context) *Session[T] {
	s, _ := ctx.Value(contextKey{m}).(*Session[T])
	return s
}

// Read returns a copy of the data, with all changes. The copy is the caller's.
func (s *Session[T]) Read() T {
	value, err := s.current.Load().read()
	if err != nil {
		panic(err) // it has been decoded before
	}
	return value
}

// Claims returns the session's own claims in the request's access token, by
// the json tags of C's fields. A name must be spelled as the member is; members that C does
// not have are ignored, and fields without a member are zero.
func Claims[C, T any](s *Session[T]) (C, error) {
	var own C
	err := s.Claims.Decode(&own)
	return own, err
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
