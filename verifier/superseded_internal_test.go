package verifier

import (
	"testing"

	"github.com/google/uuid"
)

// A pair is kept while its time is not over, and there is no cost once none is left.
func TestSupersededAtTheirEnd(t *testing.T) {
	t.Parallel()
	var s superseded
	first, second := uuid.UUID{15: 7}, uuid.UUID{0: 1, 15: 7}
	s.add(first, 3, 10)
	s.add(second, 3, 20)
	s.add(second, 4, 15) // of two times the later one counts
	s.add(second, 2, 15) // and of two generations
	for _, step := range []struct {
		over          uint32
		first, second bool
		left          int64
	}{{10, true, true, 2}, {11, false, true, 1}, {20, false, true, 1}, {21, false, false, 0}} {
		s.sweep(7, step.over)
		if s.has(first, 2) != step.first || s.has(second, 3) != step.second || s.pairs.Load() != step.left {
			t.Errorf("swept at %d: %v, %v, %d are counted", step.over, s.has(first, 2), s.has(second, 3), s.pairs.Load())
		}
		if (s.shards[7].pairs == nil) != (step.left == 0) {
			t.Errorf("swept at %d: the shard is %v", step.over, s.shards[7].pairs)
		}
	}
}
