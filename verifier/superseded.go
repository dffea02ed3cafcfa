package verifier

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
)

// shardCount shards are distinguished by the last byte of a session's id,
// which is random in the UUIDs of sessions. So every process has the same
// sessions in a shard, and a feed can be continued shard by shard.
const shardCount = 256

// superseded holds the pairs some of whose access tokens were superseded. They are few
// compared with the revoked sessions: if there are none, reading costs one comparison.
// Any number of goroutines may read, and one at a time may write. The shards are those of
// [table].
type superseded struct {
	pairs  atomic.Int64
	shards [shardCount]supersededShard
}

type supersededShard struct {
	mu    sync.RWMutex
	pairs map[uuid.UUID]supersession
}

// supersession refuses access tokens of a generation below, until a time in seconds
// since 1970.
type supersession struct {
	below int64
	until uint32
}

// has reports whether a pair's access token of a generation was superseded.
func (s *superseded) has(pair uuid.UUID, generation int64) bool {
	if s.pairs.Load() == 0 {
		return false
	}
	shard := &s.shards[pair[15]]
	shard.mu.RLock()
	defer shard.mu.RUnlock()
	return generation < shard.pairs[pair].below
}

// add notes a pair. Of two generations, or two times, the later one counts.
func (s *superseded) add(pair uuid.UUID, below int64, until uint32) {
	shard := &s.shards[pair[15]]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.pairs == nil {
		shard.pairs = map[uuid.UUID]supersession{}
	}
	known, found := shard.pairs[pair]
	shard.pairs[pair] = supersession{max(known.below, below), max(known.until, until)}
	if !found {
		s.pairs.Add(1) // now it becomes visible
	}
}

// sweep drops the pairs of a shard whose time was over at a given time.
func (s *superseded) sweep(i int, over uint32) {
	shard := &s.shards[i]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	before := len(shard.pairs)
	maps.DeleteFunc(shard.pairs, func(_ uuid.UUID, p supersession) bool { return p.until < over })
	s.pairs.Add(int64(len(shard.pairs) - before))
	if len(shard.pairs) == 0 {
		shard.pairs = nil // a map does not shrink
	}
}

func (s *supersededShard) each(visit func(pair uuid.UUID, p supersession)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for pair, p := range s.pairs {
		visit(pair, p)
	}
}
