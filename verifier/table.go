package verifier

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"github.com/google/uuid"
)

const (
	// A shard's slots are filled to between a half and three quarters.
	maxFill, newFill = 0.75, 0.5
	minSlots         = 8
)

// table holds the revoked sessions. It is read without a lock and without
// allocating, by any number of goroutines; one at a time may write.
//
// A shard is a hash table with open addressing. A slot is written once, and
// published by its until; sessions are dropped by copying the shard without them.
// A million sessions take 27 to 40 MB.
//
// Superseded access tokens are stored separately: few sessions have any.
type table struct {
	shards     [shardCount]shard
	superseded superseded
	eras       eras
	// from is the earliest Until, in seconds since 1970, that is sure to be in the table.
	// It is moved forward before anything earlier is dropped, so a reader that looks for
	// a session must read it afterwards.
	from atomic.Int64
}

type shard struct {
	slots atomic.Pointer[[]slot]
	used  int // for the writer
}

// slot has 20 bytes. It is free while until is zero.
type slot struct {
	until atomic.Uint32 // in seconds since 1970, like a token's exp
	id    uuid.UUID
}

// has reports whether a session was revoked.
func (t *table) has(id uuid.UUID) bool {
	slots := t.shards[id[15]].slots.Load()
	if slots == nil {
		return false
	}
	_, found := find(*slots, id)
	return found
}

// find returns the session's slot, or the free one where it belongs. There is
// always a free one.
func find(slots []slot, id uuid.UUID) (*slot, bool) {
	for i := home(id, len(slots)); ; {
		s := &slots[i]
		switch {
		case s.until.Load() == 0:
			return s, false
		case s.id == id:
			return s, true
		}
		if i++; i == len(slots) {
			i = 0
		}
	}
}

// home is where the search for a session begins. Only the service chooses
// ids, so the hash needs no secret.
func home(id uuid.UUID, slots int) int {
	high, low := bits.Mul64(binary.LittleEndian.Uint64(id[:8])^0x9e3779b97f4a7c15, binary.LittleEndian.Uint64(id[8:])^0xd6e8feb86659fd93)
	i, _ := bits.Mul64(high^low, uint64(slots)) //nolint:gosec // G115: a length
	return int(i)                               //nolint:gosec // G115: less than that
}

// add notes a revoked session. Of two times the later one counts.
func (t *table) add(id uuid.UUID, until uint32) {
	s := &t.shards[id[15]]
	slots := s.slots.Load()
	if slots == nil || float64(s.used+1) > maxFill*float64(len(*slots)) {
		slots = s.rebuild(0, 1)
	}
	free, found := find(*slots, id)
	if found {
		if free.until.Load() < until {
			free.until.Store(until)
		}
		return
	}
	free.id = id
	free.until.Store(until) // now it becomes visible
	s.used++
}

// keep adds the sessions of an earlier table whose time was not over at a given time, and its era.
func (t *table) keep(earlier *table, over uint32) {
	t.eras.keep(&earlier.eras, over)
	for i := range earlier.shards {
		earlier.shards[i].each(func(id uuid.UUID, until uint32) {
			if until >= over {
				t.add(id, until)
			}
		})
	}
}

// rebuild replaces the slots with new ones without the sessions whose time was over at
// a given time, and with room for some more.
func (s *shard) rebuild(over uint32, more int) *[]slot {
	kept := s.count(over)
	slots := make([]slot, max(minSlots, int(float64(kept+more)/newFill)))
	s.each(func(id uuid.UUID, until uint32) {
		if until >= over {
			free, _ := find(slots, id)
			free.id = id
			free.until.Store(until)
		}
	})
	s.used = kept
	s.slots.Store(&slots)
	return &slots
}

// sweep drops the sessions of a shard whose time was over at a given time, once
// there are enough of them.
func (t *table) sweep(i int, over uint32) {
	t.superseded.sweep(i, over)
	t.eras.sweep(over)
	s := &t.shards[i]
	switch kept := s.count(over); {
	case kept == s.used:
	case kept == 0:
		s.used = 0
		s.slots.Store(nil)
	case s.used-kept > s.used/8:
		s.rebuild(over, 0)
	}
}

// count returns how many sessions of the shard have time left.
func (s *shard) count(over uint32) int {
	n := 0
	s.each(func(_ uuid.UUID, until uint32) {
		if until >= over {
			n++
		}
	})
	return n
}

func (s *shard) each(visit func(id uuid.UUID, until uint32)) {
	slots := s.slots.Load()
	if slots == nil {
		return
	}
	for i := range *slots {
		if until := (*slots)[i].until.Load(); until != 0 {
			visit((*slots)[i].id, until)
		}
	}
}

// len counts the sessions.
func (t *table) len() int {
	n := 0
	for i := range t.shards {
		n += t.shards[i].count(0)
	}
	return n
}
