// Package sessionid makes the ids of sessions, and shows which shard a session is in without
// a lookup.
//
// An id of the first shard is a UUIDv7. One of another shard is a UUIDv8 (RFC 9562 §5.8) with
// the same time in front and the shard's number where version 7 has 12 random bits. So all
// ids are in chronological order, and ids from before there were shards belong to the first.
package sessionid

import (
	"fmt"

	"github.com/google/uuid"
)

// MaxShard is the highest number of a shard. The first shard has the number 0.
const MaxShard = 1<<12 - 1

const ofShard = 8 // the version of ids of all shards but the first

// New returns the id of a new session in a shard.
func New(shard int) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil || shard == 0 {
		return id, err
	}
	if shard < 0 || shard > MaxShard {
		return uuid.Nil, fmt.Errorf("sessionid: there is no shard %d", shard)
	}
	id[6], id[7] = ofShard<<4|byte(shard>>8), byte(shard) //nolint:gosec // G115: only its lowest 8 bits are used
	return id, nil
}

// Shard returns the number of the shard that a session is in.
func Shard(id uuid.UUID) int {
	if id[6]>>4 != ofShard {
		return 0
	}
	return int(id[6]&0xf)<<8 | int(id[7])
}

// rowBits are those of a row's number in its database.
const rowBits = 41

// Row makes a number that all shards together have once of the number that a row has in the
// database of its shard, such as a job's. In the first shard it is the same. With the 12 bits of
// a shard it has 53, which every reader of JSON takes exactly (RFC 8259 §6).
func Row(shard int, own int64) int64 { return int64(shard)<<rowBits | own }

// OfRow returns what [Row] was given.
func OfRow(number int64) (shard int, own int64) {
	return int(number >> rowBits), number & (1<<rowBits - 1)
}
