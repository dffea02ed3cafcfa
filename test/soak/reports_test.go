package soak_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// report has the members of a leak report, in the log and in a delivery alike, that the test checks.
type report struct {
	ID          string `json:"id"`
	Session     string `json:"session_id"`
	Subject     string `json:"subject"`
	Theft       string `json:"theft"`
	Behind      int64  `json:"behind"`
	DetectedAt  string `json:"detected_at"`
	PresentedBy struct {
		UserAgent string `json:"user_agent"`
	} `json:"presented_by"`
}

// reports are those that arrived at one place, by their ids: each may arrive more than once.
type reports struct {
	mu    sync.Mutex
	byID  map[string]report
	count int
}

func (r *reports) add(t *testing.T, where string, next report) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = map[string]report{}
	}
	if first, found := r.byID[next.ID]; found && first != next {
		t.Errorf("%s: a report came again and says something else (-first +next):\n%s", where, cmp.Diff(first, next))
	}
	r.byID[next.ID] = next
	r.count++
}

func (r *reports) of(session string) (list []report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, report := range r.byID {
		if report.Session == session {
			list = append(list, report)
		}
	}
	return list
}

func (r *reports) all() (list []report, count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, report := range r.byID {
		list = append(list, report)
	}
	return list, r.count
}
