package jobs_test

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/cleanup"
)

// sessions counts runs of cleanup: each asks first what has expired.
type sessions struct {
	mu                 sync.Mutex
	count, now, atOnce int
	err                error
	gate               chan struct{}
}

func newSessions() *sessions {
	open := make(chan struct{})
	close(open)
	return &sessions{gate: open}
}

func (s *sessions) FindDue(ctx context.Context, rule cleanup.Rule, _ int) (cleanup.Due, error) {
	if rule.Kind != cleanup.Expired {
		return cleanup.Due{}, nil
	}
	s.mu.Lock()
	s.count++
	s.now++
	s.atOnce = max(s.atOnce, s.now)
	gate := s.gate
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now--
	}()

	select {
	case <-gate:
	case <-ctx.Done():
		return cleanup.Due{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return cleanup.Due{}, s.err
}

func (*sessions) RemoveDue(context.Context, cleanup.Rule, []uuid.UUID, time.Duration) (cleanup.Removed, error) {
	return cleanup.Removed{}, nil
}

func (*sessions) CountDue(context.Context, cleanup.Rule) (int64, error) { return 0, nil }

func (*sessions) OldestEnded(context.Context) (time.Time, error) { return time.Time{}, nil }

// block keeps runs from ending until unblock, unless their context ends.
func (s *sessions) block() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = make(chan struct{})
}

func (s *sessions) unblock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.gate)
}

func (s *sessions) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *sessions) runs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

func (s *sessions) mostAtOnce() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.atOnce
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
