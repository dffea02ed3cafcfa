// Package placement decides which shard a new session goes to. It is pure: every replica with
// the same shards and weights decides the same.
package placement

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
)

// Shard is a place for sessions.
type Shard struct {
	Number int
	// Weight is the shard's share of new sessions, compared with the weights of the others.
	// Zero means none.
	Weight float64
}

// Order returns the numbers of the shards that may take a key's sessions, where a key is, for
// example, a subject: the first is the key's home, the next one replaces it if necessary, and
// so on.
//
// It is weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted Distributed Hash
// Tables", 2005, the logarithmic method). The score of a shard depends only on the key and that
// shard, so changing one shard moves only keys to it or away from it.
func Order(key string, shards []Shard) []int {
	type scored struct {
		number int
		score  float64
	}
	var all []scored
	for _, s := range shards {
		if s.Weight > 0 {
			all = append(all, scored{s.Number, s.Weight / -math.Log(uniform(key, s.Number))})
		}
	}
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.number, b.number))
	})
	order := make([]int, len(all))
	for i, s := range all {
		order[i] = s.number
	}
	return order
}

// uniform is the key's number for the shard, strictly between 0 and 1.
func uniform(key string, number int) float64 {
	const bits = 53                                                                    // of a float64's mantissa
	text := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(key)), uint32(number)) //nolint:gosec // G115: numbers have 12 bits
	sum := sha256.Sum256(append(text, key...))
	return (float64(binary.BigEndian.Uint64(sum[:])>>(64-bits)) + 0.5) / (1 << bits)
}
