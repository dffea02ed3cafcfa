package events

import (
	"fmt"
	"strconv"
	"strings"
)

// cutSnapshot returns a snapshot in which only those transactions up to last are visible
// that are visible in the given one. If no transaction after last was read, what was read in
// the given snapshot is exactly what is visible in both.
func cutSnapshot(snapshot string, last uint64) (string, error) {
	xmin, rest, _ := strings.Cut(snapshot, ":")
	_, between, found := strings.Cut(rest, ":")
	first, err := strconv.ParseUint(xmin, 10, 64)
	if err != nil || !found {
		return "", fmt.Errorf("%q is not a snapshot", snapshot)
	}
	var running []string
	for text := range strings.SplitSeq(between, ",") {
		if id, err := strconv.ParseUint(text, 10, 64); err == nil && id <= last {
			running = append(running, text)
		}
	}
	return fmt.Sprintf("%d:%d:%s", min(first, last+1), last+1, strings.Join(running, ",")), nil
}
