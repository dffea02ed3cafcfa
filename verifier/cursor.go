package verifier

import (
	"errors"
	"strconv"
	"strings"
)

// maxCursorBytes is far more than a cursor needs, even if hundreds of
// transactions are under way.
const maxCursorBytes = 16 << 10

// ErrCursor says that a cursor was not issued by a [Feed].
var ErrCursor = errors.New("not a cursor of a feed of revocations")

// cursor is a place in a feed. The zero cursor is before everything.
type cursor struct {
	// name and version are a set's state, which that set's own feed knows at once.
	name    string
	version uint64
	// shard is where a full set that began at the version continues; 0 means that
	// none is under way.
	shard int
	// source is the same state in a form that any other process understands.
	source string
}

func (c cursor) String() string {
	return c.name + "." + strconv.FormatUint(c.version, 10) + "." + strconv.Itoa(c.shard) + "." + c.source
}

func (c cursor) in(shard int) cursor {
	c.shard = shard
	return c
}

func parseCursor(text string) (cursor, error) {
	if text == "" {
		return cursor{}, nil
	}
	parts := strings.SplitN(text, ".", 4)
	if len(parts) != 4 || len(text) > maxCursorBytes || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return cursor{}, ErrCursor
	}
	version, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return cursor{}, ErrCursor
	}
	shard, err := strconv.ParseUint(parts[2], 10, 8) // up to shardCount-1
	if err != nil {
		return cursor{}, ErrCursor
	}
	return cursor{name: parts[0], version: version, shard: int(shard), source: parts[3]}, nil
}
