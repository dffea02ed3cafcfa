package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// flipRest is the least time from one flip to the next: each costs all clients some seconds.
const flipRest = 20 * grace

// flip makes the database's address lead to the standby for a while, which has not received a log-out. No replica may
// trust it.
func (s *soak) flip(*rand.Rand) {
	const as = "broken: database leads to a standby"
	n := s.tally.of(as)
	if time.Since(s.began) < time.Duration(n)*flipRest {
		return
	}
	l := &leaver{name: fmt.Sprint("flip ", n)}
	l.client = newClient(s, l.name, "leaver")
	if !l.signIn(s) {
		return
	}
	s.servers.CatchUp()
	s.onStandby(`SELECT pg_wal_replay_pause()`)
	s.await("the replay's pause", s.replayIsPaused)
	if l.logOut(s) {
		s.address.Lead(s.servers.Standby)
		s.address.Cut()
		s.tally.add(as)
		l.askStandby(s)
		s.address.Lead(s.servers.Primary) // existing connections stay
		s.leavers.add(l)
	}
	s.onStandby(`SELECT pg_wal_replay_resume()`)
}

// replayIsPaused reports whether the standby has stopped replaying.
func (s *soak) replayIsPaused() (yes bool) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	err := s.standby.QueryRow(ctx, `SELECT pg_get_wal_replay_pause_state() = 'paused'`).Scan(&yes)
	return err == nil && yes
}

func (s *soak) onStandby(statement string) {
	ctx, cancel := context.WithTimeout(s.t.Context(), endPatience)
	defer cancel()
	if _, err := s.standby.Exec(ctx, statement); err != nil {
		s.t.Errorf("the standby: %v", err)
	}
}

// askStandby presents tokens that are valid only for the standby, until each kind of check was answered twice.
func (l *leaver) askStandby(s *soak) {
	// The services have to connect to it first, for all clients at once.
	const enough, most, slow = 6, 6 * grace, 2 * grace
	p, before := l.pairs[len(l.pairs)-1], l.client.answers
	ways := []func(context.Context) verdict{
		func(ctx context.Context) verdict { return l.client.use(ctx, p) },
		func(ctx context.Context) verdict { return l.client.introspect(ctx, p) },
		func(ctx context.Context) verdict { _, v := l.client.refresh(ctx, p.Refresh); return v },
	}
	for began := time.Now(); l.client.answers < before+enough && time.Since(began) < most; {
		asked := l.client.answers
		ctx, cancel := context.WithTimeout(s.t.Context(), slow)
		v := ways[(asked-before)%len(ways)](ctx)
		cancel()
		if l.client.answers > asked {
			s.tally.add("standby: " + string(v))
		}
		if v == accepted {
			s.believed(l.name, p)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// believed is the outcome that a token whose session has ended must not have.
func (s *soak) believed(by string, p pair) {
	s.tally.add("REVOKED TOKENS ACCEPTED")
	s.t.Errorf("%s: a token of generation %d was accepted after session %s had ended", by, p.generation, p.session)
}
