package verifier

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// jumping is a set on a database whose clock jumps, and a session that was revoked in it.
type jumping struct {
	set     *Set
	now     time.Time
	session uuid.UUID
	token   tokens.Claims
}

func newJumping() *jumping {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	j := &jumping{set: newSet(DefaultBound, &databaseClock{now: Now, logger: slog.New(slog.DiscardHandler)}), now: now, session: uuid.New()}
	j.token = tokens.Claims{SessionID: j.session, TokenID: uuid.New(), ExpiresAt: now.Add(5 * time.Minute)}
	until := now.Add(5*time.Minute + Slack).Unix()
	j.set.Apply(Batch{Reset: true, Proof: Now(), Now: now, From: now.Unix(), Cursor: "x", Sessions: []Revocation{{SessionID: j.session, Until: until}}})
	return j
}

// jump sets the clock and lets as many proofs come as it takes to sweep everything.
func (j *jumping) jump(by time.Duration) {
	j.now = j.now.Add(by)
	for range shardCount {
		j.set.Apply(Batch{Proof: Now(), Now: j.now, Cursor: "x"})
	}
}

// A check that was stopped between two of its steps, while the clock jumped past the session's end and back, does not
// take a session that was dropped meanwhile for live.
func TestVerdictWhileTheTableIsSwept(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]func(*jumping){
		"no":   func(*jumping) {},
		"back": func(j *jumping) { j.jump(-24 * time.Hour) },
		"loaded again": func(j *jumping) {
			j.set.Apply(Batch{Reset: true, Proof: Now(), Now: j.now.Add(-24 * time.Hour), Cursor: "y"})
		},
	} {
		j := newJumping()
		seen := j.set.known.Load()
		if got := j.set.verdictBy(seen, &j.token); got != revoked {
			t.Fatalf("%s: before it the verdict is %d", name, got)
		}
		j.jump(24 * time.Hour)
		if n := seen.sessions.len(); n != 0 {
			t.Fatalf("%s: %d sessions are left", name, n)
		}
		back(j)
		if got := j.set.verdictBy(seen, &j.token); got != unknown {
			t.Errorf("%s: the verdict is %d", name, got)
		}
	}
}

// A reader of the feed that gets the full set while it is swept is not told that it goes
// back further than it does.
func TestFeedWhileTheTableIsSwept(t *testing.T) {
	t.Parallel()
	j := newJumping()
	v := j.set.view(cursor{})
	j.jump(24 * time.Hour)
	if e := v.whole(v.here, nil); len(e.Sessions) != 0 || e.From != j.now.Unix() {
		t.Errorf("%d sessions, complete from %d on; want none, from %d on", len(e.Sessions), e.From, j.now.Unix())
	}
}
