package verifier

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
)

// shards are the sets of all shards but the first. Each shard has its own set, with its own
// proof: if one cannot be followed, the service is asked only about its sessions.
type shards struct {
	sets  atomic.Pointer[map[int]*Set] // nil for none
	fresh func() *Set                  // makes an empty set, for a new shard

	mu      sync.Mutex
	changed chan struct{} // changed is closed when the sets change
}

func newShards(fresh func() *Set) *shards { return &shards{fresh: fresh, changed: make(chan struct{})} }

// all are the sets by their shards. The map must not be changed.
func (s *shards) all() map[int]*Set {
	if sets := s.sets.Load(); sets != nil {
		return *sets
	}
	return nil
}

// are keeps a set for each of these shards and for no other: shards that stay keep theirs.
func (s *shards) are(numbers []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, sets := s.all(), make(map[int]*Set, len(numbers))
	isNew := false
	for _, number := range numbers {
		if number <= 0 || number > sessionid.MaxShard {
			continue
		}
		if sets[number] = before[number]; sets[number] == nil {
			sets[number], isNew = s.fresh(), true
		}
	}
	if !isNew && len(sets) == len(before) {
		return
	}
	s.sets.Store(&sets)
	close(s.changed)
	s.changed = make(chan struct{})
}

// awaited returns a channel that is closed when the sets change; read the sets after calling
// it.
func (s *shards) awaited() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// follow follows the source of each shard, as shards come and go, until ctx ends or one gives
// up.
func (s *shards) follow(ctx context.Context, source func(shard int) Source) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	failed := make(chan error, 1)
	type following struct {
		set  *Set
		stop context.CancelFunc
	}
	followed := make(map[int]following)
	for {
		changed, sets := s.awaited(), s.all()
		for number, f := range followed {
			if sets[number] != f.set {
				f.stop()
				delete(followed, number)
			}
		}
		for number, set := range sets {
			if followed[number].set != nil {
				continue
			}
			ctx, stop := context.WithCancel(ctx)
			followed[number] = following{set, stop}
			running.Go(func() {
				defer stop()
				if err := follow(ctx, source(number), set); err != nil {
					select {
					case failed <- err:
					default: // one is enough
					}
				}
			})
		}
		select {
		case <-changed:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}
