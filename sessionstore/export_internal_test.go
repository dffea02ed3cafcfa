package sessionstore

import (
	"context"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/groupcommit"
)

// ConfirmQuery lets black-box tests recognise the statement.
const ConfirmQuery = confirmQuery

// LockSubjectQuery lets black-box tests hold up the creations of a subject.
const LockSubjectQuery = lockSubjectQuery

// RevokeAnew lets black-box tests revoke as a verifier's source does.
var RevokeAnew = revokeAnew

// SignOutAnew lets them sign everyone out as it does.
var SignOutAnew = signOutAnew

// MaxTogether is how many calls a shared statement has at most.
const MaxTogether = groupcommit.MaxCalls

// Gathers reports whether Run gathers confirmations.
func (s *Store) Gathers() bool {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	return s.seen.running
}

// Hold keeps what shares statements from being sent until n calls wait: how many
// statements they then share depends on arithmetic, not on the machine.
func (s *Store) Hold(t *testing.T, n int) (release func()) {
	t.Helper()
	queues := []interface {
		Hold() (release func())
		Waiting() int
	}{s.creations, s.readings, s.loadings, s.rotations, s.writings, s.revocations}
	var releases []func()
	for _, q := range queues {
		releases = append(releases, q.Hold())
	}
	return func() {
		t.Helper()
		waiting := func() (n int) {
			for _, q := range queues {
				n += q.Waiting()
			}
			return n
		}
		for began := time.Now(); waiting() < n; time.Sleep(time.Millisecond) {
			if time.Since(began) > time.Minute {
				t.Errorf("%d calls wait, not %d", waiting(), n)
				break
			}
		}
		for _, release := range releases {
			release()
		}
	}
}

// CreateUnencodable asks for a session whose lifetime the driver cannot encode, as if
// prepare had not refused it.
func (s *Store) CreateUnencodable(ctx context.Context) error {
	checked, err := s.checkParams(CreateParams{})
	if err != nil {
		return err
	}
	c, err := s.prepare(ctx, checked)
	if err != nil {
		return err
	}
	c.lifetimes.RefreshToken = MaxLifetime + time.Second
	return s.createShared(ctx, c)
}
