package jobs_test

import (
	"bytes"
	"context"
	"sync"
	"time"
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

func (s *sessions) DeleteExpired(ctx context.Context, _ time.Duration, _ int) (int64, error) {
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
		return 0, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return 0, s.err
}

func (*sessions) DeleteRevoked(context.Context, time.Duration, int) (int64, error) { return 0, nil }

func (*sessions) DeleteAged(context.Context, time.Duration, int) (int64, error) { return 0, nil }

func (*sessions) DeleteSuperfluous(context.Context, time.Duration, int) (int64, error) { return 0, nil }

func (*sessions) CountSuperfluous(context.Context, time.Duration) (int64, error) { return 0, nil }

func (*sessions) CountExpired(context.Context, time.Duration) (int64, error) { return 0, nil }

func (*sessions) CountRevoked(context.Context, time.Duration) (int64, error) { return 0, nil }

func (*sessions) CountAged(context.Context, time.Duration) (int64, error) { return 0, nil }

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
