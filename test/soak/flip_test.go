package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// flip has the database's address lead to the standby for a while, which has not heard of a log-out. Nobody may believe
// it.
func (s *soak) flip(dice *rand.Rand) {
	const as = "broken: database leads to a standby"
	l := &leaver{name: fmt.Sprint("flip ", s.tally.of(as))}
	l.client = newClient(s, l.name, "leaver")
	if !l.signIn(s) {
		return
	}
	s.servers.CatchUp()
	s.onStandby(`SELECT pg_wal_replay_pause()`)
	if l.logOut(s) {
		s.address.Lead(s.servers.Standby)
		s.address.Cut()
		s.tally.add(as)
		l.askStandby(s, between(dice, 500*time.Millisecond, 1500*time.Millisecond))
		s.address.Lead(s.servers.Primary) // the connections that are there stay
		s.leavers.add(l)
	}
	s.onStandby(`SELECT pg_wal_replay_resume()`)
}

func (s *soak) onStandby(statement string) {
	ctx, cancel := context.WithTimeout(s.t.Context(), endPatience())
	defer cancel()
	if _, err := s.standby.Exec(ctx, statement); err != nil {
		s.t.Errorf("the standby: %v", err)
	}
}

// askStandby presents tokens that are good for the standby, and for nobody else.
func (l *leaver) askStandby(s *soak, lasts time.Duration) {
	p := l.pairs[len(l.pairs)-1]
	ways := []func(context.Context) verdict{
		func(ctx context.Context) verdict { return l.client.use(ctx, p) },
		func(ctx context.Context) verdict { return l.client.introspect(ctx, p) },
		func(ctx context.Context) verdict { _, v := l.client.refresh(ctx, p.Refresh); return v },
	}
	for i, began := 0, time.Now(); time.Since(began) < lasts; i++ {
		ctx, cancel := context.WithTimeout(s.t.Context(), patience)
		v := ways[i%len(ways)](ctx)
		cancel()
		s.tally.add("standby: asked, " + string(v))
		if v == accepted {
			s.believed(l.name, p)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// believed is what must not happen to a token whose session has ended.
func (s *soak) believed(by string, p pair) {
	s.tally.add("REVOKED TOKENS ACCEPTED")
	s.t.Errorf("%s: a token of generation %d was accepted after session %s had ended", by, p.generation, p.session)
}
