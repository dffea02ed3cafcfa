package verifier

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/uuid"
)

// inShard returns the n-th id of one shard.
func inShard(n int) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], uint64(n)*0x9e3779b97f4a7c15)
	return id
}

// However few sessions a shard has, there is always a free slot, without which the
// search for one that is absent would not end; and never many.
func TestSmallShards(t *testing.T) {
	t.Parallel()
	const most = 200
	steps := make(chan struct{})
	go func() {
		defer close(steps)
		table := new(table)
		shard := &table.shards[0]
		check := func(what string, n int) {
			slots := len(*shard.slots.Load())
			if shard.used != n || shard.count(0) != n {
				t.Errorf("%s %d: %d are counted, %d are there", what, n, shard.used, shard.count(0))
			}
			if slots < minSlots || slots*3 < n*4 || slots > max(minSlots, 2*(n+1)) {
				t.Errorf("%s %d: %d slots", what, n, slots)
			}
			for i := range most {
				if table.has(inShard(i)) != (i < n) {
					t.Errorf("%s %d: number %d is found: %v", what, n, i, i >= n)
				}
			}
			steps <- struct{}{}
		}
		var grown int
		for n := 1; n <= most; n++ {
			before := shard.slots.Load()
			table.add(inShard(n-1), uint32(most+1-n))
			table.add(inShard(n-1), 1) // an earlier time changes nothing
			check("added", n)
			if shard.slots.Load() != before {
				grown++
			}
		}
		if grown > 10 {
			t.Errorf("the shard was copied %d times to add %d", grown, most)
		}
		for over := uint32(0); over <= most+1; over++ {
			table.sweep(0, over)
			if shard.slots.Load() == nil {
				if over != most+1 || shard.used != 0 {
					t.Errorf("swept at %d: %d are left, and no slots", over, shard.used)
				}
				continue
			}
			if over == most+1 {
				t.Errorf("swept at %d: slots are left without a session", over)
			}
			left := int(most - max(1, over) + 1)
			if shard.used < left || shard.used > left*8/7+1 {
				t.Errorf("swept at %d: %d are kept of %d with time left", over, shard.used, left)
			}
			check("swept", shard.used)
		}
	}()
	for more := true; more; {
		select {
		case _, more = <-steps:
		case <-time.After(time.Minute): // each step takes a millisecond or so
			t.Fatal("a search does not end")
		}
	}
}

// A table that replaces another one keeps what has time left, to the second.
func TestKeptAtTheirEnd(t *testing.T) {
	t.Parallel()
	const over = 10
	earlier, table := new(table), new(table)
	for i := range 3 {
		earlier.add(inShard(i), uint32(over-1+i))
	}
	table.keep(earlier, over)
	for i := range 3 {
		if got, want := table.has(inShard(i)), i > 0; got != want {
			t.Errorf("until %d, kept at %d: %v", over-1+i, over, got)
		}
	}
}
