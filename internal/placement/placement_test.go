package placement_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/latchkey-sessions/latchkey/internal/placement"
)

// home is the first in a key's order.
func home(t *testing.T, key string, shards []placement.Shard) int {
	t.Helper()
	order := placement.Order(key, shards)
	if len(order) == 0 {
		t.Fatalf("%q has no home among %v", key, shards)
	}
	return order[0]
}

func anyShards() *rapid.Generator[[]placement.Shard] {
	return rapid.Custom(func(t *rapid.T) []placement.Shard {
		numbers := rapid.SliceOfNDistinct(rapid.IntRange(0, 4095), 1, 8, rapid.ID).Draw(t, "numbers")
		shards := make([]placement.Shard, len(numbers))
		for i, n := range numbers {
			shards[i] = placement.Shard{Number: n, Weight: float64(rapid.IntRange(0, 4).Draw(t, "weight"))}
		}
		return shards
	})
}

// The order has each shard with a weight once and no other, and does not depend on how the
// shards are listed.
func TestOrderIsThatOfAllWithAWeight(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		shards, key := anyShards().Draw(t, "shards"), rapid.String().Draw(t, "key")
		order := placement.Order(key, shards)
		var want []int
		for _, s := range shards {
			if s.Weight > 0 {
				want = append(want, s.Number)
			}
		}
		slices.Sort(want)
		if got := slices.Sorted(slices.Values(order)); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v in some order", order, want)
		}
		again := rapid.Permutation(shards).Draw(t, "again")
		if got := placement.Order(key, again); !slices.Equal(got, order) {
			t.Fatalf("%v in one order of the list, %v in another", order, got)
		}
	})
}

// Without one of the shards, the order is that of the others. So a key moves only if its home
// is gone, and then to the next in its order; and an added shard takes keys from others but
// moves none between them.
func TestAShardThatGoesLeavesTheOrderOfTheOthers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		shards, key := anyShards().Draw(t, "shards"), rapid.String().Draw(t, "key")
		i := rapid.IntRange(0, len(shards)-1).Draw(t, "gone")
		gone := shards[i].Number
		want := slices.DeleteFunc(placement.Order(key, shards), func(n int) bool { return n == gone })
		if got := placement.Order(key, slices.Delete(slices.Clone(shards), i, i+1)); !slices.Equal(got, want) {
			t.Fatalf("removed: %v, want %v", got, want)
		}
		shards[i].Weight = 0
		if got := placement.Order(key, shards); !slices.Equal(got, want) {
			t.Fatalf("without a weight: %v, want %v", got, want)
		}
	})
}

// A greater weight takes keys from other shards and gives none away.
func TestAGreaterWeightGivesNoKeyAway(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		shards, key := anyShards().Draw(t, "shards"), rapid.String().Draw(t, "key")
		i := rapid.IntRange(0, len(shards)-1).Draw(t, "grows")
		shards[i].Weight++
		before := placement.Order(key, shards)[0]
		shards[i].Weight += 2
		if after := placement.Order(key, shards)[0]; after != before && after != shards[i].Number {
			t.Fatalf("moved from %d to %d when the weight of %d grew", before, after, shards[i].Number)
		}
	})
}

// Each shard gets the share of its weight, within five standard deviations of what chance would
// do: the keys are the same in each run, so the test always ends the same.
func TestSharesAreThoseOfTheWeights(t *testing.T) {
	t.Parallel()
	const keys = 40_000
	for _, weights := range [][]float64{{1, 1}, {1, 1, 1}, {1, 2, 4}, {0.5, 0.25, 0, 3}} {
		var shards []placement.Shard
		total := 0.0
		for i, w := range weights {
			shards, total = append(shards, placement.Shard{Number: i, Weight: w}), total+w
		}
		got := make([]int, len(weights))
		for i := range keys {
			got[home(t, fmt.Sprintf("user-%d", i), shards)]++
		}
		for i, w := range weights {
			p := w / total
			if off := math.Abs(float64(got[i]) - keys*p); off > 5*math.Sqrt(keys*p*(1-p)) {
				t.Errorf("weights %v: shard %d has %d keys, want about %.0f", weights, i, got[i], keys*p)
			}
		}
	}
}

// Replicas of two releases run at once, so a key's order is the same in all releases.
func TestGolden(t *testing.T) {
	t.Parallel()
	shards := []placement.Shard{{Number: 0, Weight: 1}, {Number: 1, Weight: 1}, {Number: 2, Weight: 2}, {Number: 4095, Weight: 0.5}}
	got := map[string][]int{}
	for _, key := range []string{"", "ada", "grace", "user-1", "user-2", "01J9ZK3Q7V", "名前"} {
		got[key] = placement.Order(key, shards)
	}
	want := map[string][]int{ // computed by a program in another language
		"": {0, 1, 2, 4095}, "ada": {2, 4095, 0, 1}, "grace": {0, 2, 1, 4095}, "user-1": {2, 1, 4095, 0}, "user-2": {1, 0, 2, 4095},
		"01J9ZK3Q7V": {1, 4095, 0, 2}, "名前": {2, 0, 4095, 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
