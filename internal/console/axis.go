package console

import (
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const axisWidth = 1000

// axis is the time line of a page: from when its first session began until now.
type axis struct{ From, To time.Time }

func newAxis(sessions []sessionstore.Session, now time.Time) axis {
	a := axis{From: now, To: now}
	for _, s := range sessions {
		if s.CreatedAt.Before(a.From) {
			a.From = s.CreatedAt
		}
	}
	return a
}

// at is where a time is.
func (a axis) at(t time.Time) int {
	whole := a.To.Sub(a.From)
	if whole <= 0 {
		return 0
	}
	return int(min(max(0, float64(t.Sub(a.From))/float64(whole)), 1) * axisWidth)
}

// bar is a session's lifetime on the time line.
type bar struct{ X, Width int }

// Bar returns the session's bar, which is never too thin to be seen.
func (a axis) Bar(s sessionstore.Session) bar {
	const thinnest = 6
	end := axisWidth
	if !s.Ended.At.IsZero() {
		end = a.at(s.Ended.At)
	}
	x := min(a.at(s.CreatedAt), axisWidth-thinnest)
	return bar{x, max(end-x, thinnest)}
}
