package soak_test

import (
	"context"
	"fmt"
	"time"
)

// leaver is a client that logged out. Its tokens may be presented by anyone, forever: that has no effect, and causes
// no report.
type leaver struct {
	name   string
	client *client
	pairs  []pair
}

// lasting is the lifetime of access tokens that must be refused because of their session's end, and for no
// other reason.
const lasting = time.Hour

// leave signs in and logs out until the storm ends.
func (s *soak) leave() {
	dice := s.dice("leavers")
	for n := 0; s.pause(between(dice, 0, time.Second)); n++ {
		l := &leaver{name: fmt.Sprint("leaver ", n)}
		l.client = newClient(s, l.name, "leaver")
		if l.live(s) {
			s.leavers.add(l)
			s.tally.add("logouts")
		}
		if before := s.leavers.all(); len(before) > 0 {
			before[dice.IntN(len(before))].checkDead(s)
		}
	}
}

func (l *leaver) live(s *soak) bool { return l.signIn(s) && l.logOut(s) }

func (l *leaver) signIn(s *soak) bool {
	var p pair
	return l.step(s, "sign in", func(ctx context.Context) (v verdict) {
		p, v = l.client.signInFor(ctx, l.name, lasting)
		return v
	}) && l.step(s, "refresh", func(ctx context.Context) verdict {
		next, v := l.client.refresh(ctx, p.Refresh)
		if v == accepted {
			l.pairs = []pair{p, next}
		}
		return v
	})
}

func (l *leaver) logOut(s *soak) bool {
	return l.step(s, "log out", func(ctx context.Context) verdict { return l.client.logOut(ctx, l.pairs[1]) })
}

func (l *leaver) step(s *soak, what string, ask func(context.Context) verdict) bool {
	v := s.persist(ask)
	if v != accepted {
		s.t.Errorf("%s, %s: %s", l.name, what, v)
	}
	return v == accepted
}

func (l *leaver) checkDead(s *soak) {
	for _, p := range l.pairs {
		s.checkDead(l.name, l.client, p)
	}
}

func (s *soak) checkLeavers() {
	for _, l := range s.leavers.all() {
		l.checkDead(s)
	}
}

// checkDead presents the tokens of a session that has ended.
func (s *soak) checkDead(name string, c *client, p pair) {
	if p.Refresh == "" { // it never had its own
		return
	}
	v := s.persist(func(ctx context.Context) verdict {
		_, v := c.refresh(ctx, p.Refresh)
		return v
	})
	if v != refused {
		s.t.Errorf("%s: after the session's end its refresh token is %s", name, v)
	}
	for what, use := range map[string]func(context.Context, pair) verdict{"use": c.use, "introspection": c.introspect} {
		if v := s.persist(func(ctx context.Context) verdict { return use(ctx, p) }); v != refused {
			s.t.Errorf("%s: after the session's end its access token is %s by %s", name, v, what)
		}
	}
}
