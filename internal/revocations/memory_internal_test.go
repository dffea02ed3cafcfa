package revocations

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// A database is doubted if it may have forgotten what was seen of it, until that is
// settled; and not if it is seen for the first time, or continues.
func TestMemoryDoubts(t *testing.T) {
	t.Parallel()
	var m memory
	m.add(Ended{ID: uuid.New()})
	for i, c := range []struct {
		epoch, snapshot string
		want            bool
	}{
		{"", "10:10:", false}, // a new one
		{"a", "10:10:", false},
		{"a", "10:12:", false},
		{"b", "20:20:", true}, // another one took over
		{"b", "20:21:", false},
		{"b", "15:15:", true}, // a copy of it, of some time ago
		{"", "16:16:", true},  // it has crashed
		{"c", "16:16:", false},
	} {
		if got := m.see(state{epoch: c.epoch, snapshot: c.snapshot}, time.Now()); got != c.want {
			t.Errorf("state %d is doubted: %v", i, got)
		}
		if what, doubt := m.doubted(); len(what.sessions) > 0 != c.want {
			t.Errorf("state %d: %d sessions are doubted", i, len(what.sessions))
		} else {
			m.settle(doubt)
		}
	}
}

// An event that arrives while a doubt is settled is a new doubt.
func TestMemoryDoubtsAgain(t *testing.T) {
	t.Parallel()
	var m memory
	m.add(Ended{ID: uuid.New()})
	m.see(state{epoch: "a", snapshot: "1:1:"}, time.Now())
	m.see(state{epoch: "b", snapshot: "1:1:"}, time.Now())
	_, doubt := m.doubted()
	m.see(state{epoch: "c", snapshot: "1:1:"}, time.Now())
	m.settle(doubt)
	if what, _ := m.doubted(); len(what.sessions) != 1 {
		t.Errorf("%d sessions are doubted", len(what.sessions))
	}
}

// However many sessions end, this many of the last are remembered.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var m memory
	for range 3 {
		for range maxYoung {
			m.add(Ended{ID: uuid.New()})
		}
	}
	last := Ended{ID: uuid.New(), By: "ann"}
	m.add(last)
	if n := len(m.young) + len(m.old); n < maxYoung || n > 2*maxYoung {
		t.Errorf("%d sessions are remembered", n)
	}
	if m.young[last.ID] != last {
		t.Error("the last one is not")
	}
}

// A primary that lost its role may have made tokens, by its own clock, until its successor was seen. The latest of
// several counts.
func TestMemoryOfAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	const outage, ahead = time.Hour, 24 * time.Hour
	var m memory
	wall := time.Now()
	m.see(state{epoch: "a", snapshot: "1:1:", now: wall.Add(ahead)}, wall.Add(-outage))
	if what, _ := m.doubted(); !what.made.IsZero() {
		t.Errorf("tokens may have been made until %v, and nothing is doubted", what.made)
	}
	for _, epoch := range []string{"b", "c"} {
		m.see(state{epoch: epoch, snapshot: "1:1:", now: wall}, wall)
		what, doubt := m.doubted()
		if late := what.made.Sub(wall) - ahead - outage; late < 0 || late > 10*time.Minute {
			t.Errorf("tokens may have been made until %v after the database was last seen", what.made.Sub(wall))
		}
		m.settle(doubt)
	}
}
