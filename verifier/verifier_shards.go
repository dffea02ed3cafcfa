package verifier

import (
	"maps"
	"slices"
	"time"
)

// Shards returns the numbers of all shards whose revocations are followed, except the first,
// which has the number 0. There are none if all sessions are in one database.
func (v *Verifier) Shards() []int { return slices.Sorted(maps.Keys(v.shards.all())) }

// ShardAge is [Verifier.Age] for the sessions of one shard.
func (v *Verifier) ShardAge(shard int) (time.Duration, bool) {
	set := v.set
	if shard != 0 {
		set = v.shards.all()[shard]
	}
	if set == nil {
		return 0, false
	}
	return set.Age(), true
}

// Feed passes on what the verifier learns.
func (v *Verifier) Feed() *Feed {
	catcher, _ := v.source.(Catcher)
	return &Feed{set: v.set, catcher: catcher}
}

// ShardFeed is [Verifier.Feed] for one shard, and false for one that is not followed.
func (v *Verifier) ShardFeed(shard int) (*Feed, bool) {
	if shard == 0 {
		return v.Feed(), true
	}
	set := v.shards.all()[shard]
	if set == nil {
		return nil, false
	}
	catcher, _ := v.cfg.Shards[shard].(Catcher)
	return &Feed{set: set, catcher: catcher}, true
}
