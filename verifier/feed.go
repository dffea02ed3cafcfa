package verifier

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// resetChunk is the number of sessions after which an event ends that is part of
// the full set. All sessions of a shard are in one event.
const resetChunk = 10_000

var errNotLoaded = errors.New("the set of revoked sessions is not loaded yet")

// Event is one response of a [Feed].
type Event struct {
	// Cursor is the place that the next event follows.
	Cursor string
	// Reset says that the full set begins with this event, More that it
	// continues after it.
	Reset, More bool
	Sessions    []Revocation
	// Proof is the time up to which every revocation has now been reported; zero
	// with More.
	Proof Moment
	// From is as in [Batch].
	From int64
}

// Feed passes on what a [Set] learns, to any number of readers.
type Feed struct {
	set     *Set
	catcher Catcher // nil if the source is not one
}

// Now reads the clocks that the proofs of the feed's events are compared with.
func (f *Feed) Now() Moment { return f.set.now() }

// Clock is [Verifier.Clock] for the database that the feed is about.
func (f *Feed) Clock() (Clock, bool) { return f.set.clock.read() }

// Next returns what follows a cursor; the full set follows the empty one. If
// nothing follows yet, it waits for the set's next proof, so an event
// may name no session: then the proof is the news.
//
// Nothing is left out, even if the cursor comes from another process on the same
// database, or is old. A session may be named more than once.
func (f *Feed) Next(ctx context.Context, since string) (Event, error) {
	at, err := parseCursor(since)
	if err != nil {
		return Event{}, err
	}
	for {
		v := f.set.view(at)
		if v.known == nil {
			return Event{}, unavailable(errNotLoaded)
		}
		switch {
		case at == cursor{}, v.place == elsewhere && at.shard > 0, v.place == replaced, v.place == forgotten && at.shard > 0:
			return v.whole(v.here, nil), nil
		case v.place == elsewhere, v.place == forgotten:
			return f.catchUp(ctx, at, v)
		case at.shard > 0:
			return v.whole(at, v.later), nil
		case at.version < v.known.version:
			return v.event(v.later), nil
		}
		select {
		case <-v.changed:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

// catchUp asks the source for what the set does not have. The set's state was read
// before that, so whatever it does not know yet follows the event's cursor.
func (f *Feed) catchUp(ctx context.Context, at cursor, v view) (Event, error) {
	if f.catcher == nil {
		return v.whole(v.here, nil), nil
	}
	sessions, known, err := f.catcher.Since(ctx, at.source)
	switch {
	case err != nil:
		return Event{}, unavailable(err)
	case !known:
		return v.whole(v.here, nil), nil
	}
	return v.event(sessions), nil
}

// place is where a cursor is, as seen from a set.
type place int

const (
	kept      place = iota // what followed is remembered
	forgotten              // it is no longer remembered
	replaced               // the set was replaced since
	elsewhere              // it is not this set's cursor
)

// view is a set's state, as seen from a cursor.
type view struct {
	known *knowledge
	here  cursor
	place place
	// later is what was revoked after the cursor, if that is still remembered.
	later   []Revocation
	changed <-chan struct{}
}

func (s *Set) view(at cursor) view {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, h := s.known.Load(), &s.history
	if k == nil {
		return view{}
	}
	v := view{known: k, here: cursor{name: h.name, version: k.version, source: k.cursor}, changed: h.changed}
	switch {
	case at.name != h.name || at.version > k.version:
		v.place = elsewhere
	case at.version < h.whole:
		v.place = replaced
	case at.version < h.forgotten:
		v.place = forgotten
	default:
		v.later = h.since(at.version)
	}
	return v
}

func (v view) event(sessions []Revocation) Event {
	return Event{Cursor: v.here.String(), Sessions: sessions, Proof: v.known.proof, From: v.known.sessions.from.Load()}
}

// whole returns the next part of the full set, which began at a version of it.
// Entries may have been added since to shards that were already passed on: the
// last part has those as well.
func (v view) whole(at cursor, later []Revocation) Event {
	var sessions []Revocation
	shard := at.shard
	if shard == 0 {
		v.known.sessions.eras.each(func(r Revocation) { sessions = append(sessions, r) })
	}
	for ; shard < shardCount && len(sessions) < resetChunk; shard++ {
		v.known.sessions.shards[shard].each(func(id uuid.UUID, until uint32) {
			sessions = append(sessions, Revocation{SessionID: id, Until: int64(until)})
		})
		v.known.sessions.superseded.shards[shard].each(func(pair uuid.UUID, p supersession) {
			sessions = append(sessions, Revocation{TokenID: pair, Below: p.below, Until: int64(p.until)})
		})
	}
	e := v.event(append(sessions, later...))
	if shard < shardCount {
		e.Cursor, e.Sessions, e.Proof, e.More = at.in(shard).String(), sessions, Moment{}, true
	}
	e.Reset = at.shard == 0
	return e
}
