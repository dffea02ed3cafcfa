package console

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Totals become numbers by the hour, which go when their day is over.
func TestRecent(t *testing.T) {
	t.Parallel()
	at := func(hour, minute int) time.Time {
		return time.Date(2026, time.June, 20, hour, minute, 0, 0, time.UTC)
	}
	var r recent
	for _, note := range []struct {
		at    time.Time
		total int64
	}{{at(0, 30), 5}, {at(0, 59), 7}, {at(1, 0), 7}, {at(1, 1), 10}, {at(5, 0), 11}} {
		r.note(note.at, map[string]int64{"rotated": note.total})
	}
	got, began := r.read()
	if diff := cmp.Diff(map[string]hours{"rotated": {18: 7, 19: 3, 23: 1}}, got); diff != "" || !began.Equal(at(0, 30)) {
		t.Error(began, diff)
	}
	r.note(at(25, 0), map[string]int64{"rotated": 11})
	if got, _ := r.read(); got["rotated"] != (hours{3: 1}) {
		t.Errorf("%v", got)
	}
	r.note(at(600, 0), map[string]int64{"rotated": 11})
	if got, _ := r.read(); got["rotated"] != (hours{}) {
		t.Errorf("%v", got)
	}
}
