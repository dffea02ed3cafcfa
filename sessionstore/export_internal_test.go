package sessionstore

import (
	"testing"
	"time"
)

// ConfirmQuery lets black-box tests tell the statement apart.
const ConfirmQuery = confirmQuery

// LockSubjectQuery lets black-box tests hold up the creations of a subject.
const LockSubjectQuery = lockSubjectQuery

// MaxTogether is how many calls a shared statement has at the most.
const MaxTogether = maxTogether

// Gathers tells whether Run gathers confirmations.
func (s *Store) Gathers() bool {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	return s.seen.running
}

// Hold keeps creations, reads and refreshes from being sent until n of them wait:
// how many statements they then share is a matter of arithmetic, not of the machine.
func (s *Store) Hold(t *testing.T, n int) (release func()) {
	t.Helper()
	releases := []func(){hold(&s.creations), hold(&s.readings), hold(&s.rotations)}
	return func() {
		t.Helper()
		await(t, n, func() int { return s.creations.length() + s.readings.length() + s.rotations.length() })
		for _, release := range releases {
			release()
		}
	}
}

// hold takes all places.
func hold[T any](q *together[T]) (release func()) {
	for range maxStatements {
		q.begin(&call[T]{})
	}
	return func() {
		for range maxStatements {
			q.handOver()
		}
	}
}

func (q *together[T]) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// await waits until n calls wait.
func await(t *testing.T, n int, length func() int) {
	t.Helper()
	for began := time.Now(); length() < n; time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Errorf("%d calls wait, not %d", length(), n)
			return
		}
	}
}
