package verifier

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// resetChunk is from how many sessions on an event ends that is a part of the
// full set. All sessions of a shard are in one event.
const resetChunk = 10_000

var errNotLoaded = errors.New("the set of revoked sessions is not loaded yet")

// Event is one answer of a [Feed].
type Event struct {
	// Cursor is what the next event follows on.
	Cursor string
	// Reset says that the full set begins with this event, and More that it does
	// not end with it.
	Reset, More bool
	Sessions    []Revocation
	// Proof is until when every revocation has now been told; zero with More.
	Proof Moment
	// From is as in [Batch].
	From int64
}

// Feed hands on what a [Set] learns, to any number of readers.
type Feed struct {
	set     *Set
	catcher Catcher // nil if the source is none
}

// Now reads the clocks that the proofs of the feed's events are compared with.
func (f *Feed) Now() Moment { return f.set.now() }

// Clock is [Verifier.Clock] for the database that the feed is about.
func (f *Feed) Clock() (Clock, bool) { return f.set.clock.read() }

// Next returns what follows on a cursor; the empty one is followed by the full
// set. Where nothing follows yet it waits for the set's next proof, so an event
// may name no session: then the proof is the news.
//
// Nothing is left out, wherever the cursor comes from: another process on the
// same database, or long ago. A session may be named more than once.
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

// catchUp asks the source for what the set cannot tell. The set's state was
// looked at before, so what it has not heard of yet follows on the event's cursor.
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

// place is where a cursor stands, seen from a set.
type place int

const (
	kept      place = iota // what followed is remembered
	forgotten              // it is not remembered any more
	replaced               // the set was replaced since
	elsewhere              // it is not this set's cursor
)

// view is a set's state, seen from a cursor.
type view struct {
	known *knowledge
	here  cursor
	place place
	// later is what was revoked after the cursor, if it is kept.
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
// The table was added to since, in shards that were handed on too: the last part
// has that besides.
func (v view) whole(at cursor, later []Revocation) Event {
	var sessions []Revocation
	shard := at.shard
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
