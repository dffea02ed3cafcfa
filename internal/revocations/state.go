package revocations

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// state is a state of the database, as far as revocations are concerned.
type state struct {
	// epoch is empty until it is made.
	epoch string
	// snapshot is a pg_snapshot: xmin:xmax:the transactions between them that were
	// under way.
	snapshot string
	// now is the database's time. It is not part of the state's name.
	now time.Time
}

// version begins a state's name. A follower that continues from a state has received everything
// before it that this version covers: revocations, and superseded access tokens. An earlier release
// covered only the former, and does not recognize a name with a version as its own.
const version = "2:"

// states matches what [state.String] returns.
var states = regexp.MustCompile(`^` + version + `[0-9]{1,20}-[0-9a-f-]{36}:[0-9]{1,20}:[0-9]{1,20}:[0-9,]*$`)

func parseState(text string) (state, bool) {
	if !states.MatchString(text) {
		return state{}, false
	}
	epoch, snapshot, _ := strings.Cut(strings.TrimPrefix(text, version), ":")
	return state{epoch: epoch, snapshot: snapshot}, isSnapshot(snapshot)
}

// isSnapshot reports whether PostgreSQL accepts a text of the right form as a
// pg_snapshot. An invalid one is the caller's fault, not the database's.
func isSnapshot(text string) bool {
	xmin, rest, _ := strings.Cut(text, ":")
	xmax, between, _ := strings.Cut(rest, ":")
	least, err := strconv.ParseUint(xmin, 10, 64)
	end, endErr := strconv.ParseUint(xmax, 10, 64)
	if err != nil || endErr != nil || least == 0 || end < least {
		return false
	}
	if between == "" {
		return true
	}
	for text := range strings.SplitSeq(between, ",") {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil || id < least || id >= end {
			return false
		}
		least = id // they come in order
	}
	return true
}

func (s state) String() string { return version + s.epoch + ":" + s.snapshot }

// follows reports whether a state came after another one, so that their
// snapshots show what is new.
func (s state) follows(earlier state) bool {
	// A copy of the data of a server that was shut down has the same epoch, but it
	// has lost transactions. It is detected if its ids have not caught up.
	return s.epoch != "" && s.epoch == earlier.epoch && s.xmax() >= earlier.xmax()
}

// xmax is the id of the first transaction that had not begun.
func (s state) xmax() uint64 {
	_, rest, _ := strings.Cut(s.snapshot, ":")
	text, _, _ := strings.Cut(rest, ":")
	xmax, _ := strconv.ParseUint(text, 10, 64) // 0, as for no snapshot, is before everything
	return xmax
}
