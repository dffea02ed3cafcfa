package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey-sessions/latchkey/verifier"
)

const (
	// strangers are a crowd's sessions that no client uses.
	strangers = 3000
	// members are those that stay.
	members = 8
)

// crowd is a subject with thousands of sessions, which is signed out everywhere.
type crowd struct {
	soak    *soak
	subject string
	// asked is when the sign-out was first sent, and ended when it was answered.
	asked, ended atomic.Pointer[time.Time]
}

const strangersQuery = `
WITH made AS (
  INSERT INTO "sessionStore" ("id", "checksum", "data", "createdAt", "updatedAt", "subject")
  SELECT gen_random_uuid(), '', '{}', now(), now(), $1 FROM generate_series(1, $2) RETURNING "id"
), paired AS (
  INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
  SELECT gen_random_uuid(), "id", now(), now() + interval '1 day', (now() + interval '1 day')::date, now() + interval '5 min' FROM made
  RETURNING 1
)
SELECT count(*) FROM paired`

const leftQuery = `
SELECT count(*) FROM "sessionStore" s JOIN "sessionStoreToken" t ON t."session" = s."id"
WHERE s."subject" = $1 AND (s."revokedAt" IS NULL OR t."revokedAt" IS NULL)`

// signOutCrowds signs one crowd out after the other until the storm ends.
func (s *soak) signOutCrowds() {
	for n := 0; s.left() > 0; n++ {
		c := &crowd{soak: s, subject: fmt.Sprint("crowd ", n)}
		c.live()
	}
}

func (c *crowd) live() {
	s := c.soak
	var made int
	s.query(strangersQuery, []any{c.subject, strangers}, &made)
	var all []*member
	for i := range members {
		name := fmt.Sprint(c.subject, " member ", i)
		m := &member{crowd: c, name: name, client: newClient(s, name, "member"), dice: s.dice("mind of " + name)}
		if v := s.persist(func(ctx context.Context) (v verdict) {
			m.pair, v = m.client.signInFor(ctx, c.subject, lasting)
			return v
		}); v != accepted {
			s.t.Errorf("%s: sign in: %s", name, v)
			return
		}
		all = append(all, m)
	}
	var working sync.WaitGroup
	for _, m := range all {
		working.Go(m.live)
	}
	c.signOut()
	working.Wait()
	for _, m := range all {
		s.checkDead(m.name, m.client, m.pair)
	}
}

// signOut ends them while they are at work.
func (c *crowd) signOut() {
	s := c.soak
	client := newClient(s, c.subject, "backend")
	s.pause(grace / 2)
	asked := time.Now()
	c.asked.Store(&asked)
	v := s.persist(func(ctx context.Context) verdict { return client.signOutEverywhere(ctx, c.subject) })
	ended := time.Now()
	c.ended.Store(&ended)
	if v != accepted {
		s.t.Errorf("%s: sign out everywhere: %s", c.subject, v)
	}
	var left int
	if s.query(leftQuery, []any{c.subject}, &left); left > 0 {
		s.t.Errorf("%s: %d sessions are left after they were signed out", c.subject, left)
	}
	s.tally.add("crowds: signed out")
}

// over reports whether replicas and verifiers all know that they are signed out.
func (c *crowd) over() bool {
	ended := c.ended.Load()
	return ended != nil && time.Since(*ended) > 2*verifier.DefaultBound
}

// member is a client of a crowd, which does not know that it was signed out.
type member struct {
	crowd  *crowd
	name   string
	client *client
	dice   *rand.Rand
	pair   pair
	old    bool // its access token was refused
}

func (m *member) live() {
	for !m.crowd.over() {
		switch n := m.dice.IntN(4); {
		case n == 0 || m.old:
			m.refresh()
		case n == 1:
			m.check(m.client.use)
		case n == 2:
			m.check(m.client.introspect)
		default:
			m.checkAtEdge()
		}
		time.Sleep(between(m.dice, 20*time.Millisecond, 100*time.Millisecond))
	}
}

func (m *member) ask(use func(context.Context) verdict) (began time.Time, v verdict) {
	ctx, cancel := context.WithTimeout(m.crowd.soak.t.Context(), patience)
	defer cancel()
	began = time.Now()
	return began, use(ctx)
}

func (m *member) refresh() {
	began, v := m.ask(func(ctx context.Context) verdict {
		next, v := m.client.refresh(ctx, m.pair.Refresh)
		if v == accepted {
			m.pair, m.old = next, false
		}
		return v
	})
	m.judge(began, v, 0)
	if v == refused && m.crowd.asked.Load() == nil {
		m.crowd.soak.tally.add("FALSE LOGOUTS")
		m.crowd.soak.t.Errorf("%s was logged out of session %s before the others were", m.name, m.pair.session)
	}
}

// check is strict.
func (m *member) check(use func(context.Context, pair) verdict) {
	began, v := m.ask(func(ctx context.Context) verdict { return use(ctx, m.pair) })
	m.judge(began, v, 0)
	m.old = m.old || v == refused && m.crowd.ended.Load() == nil
}

// checkAtEdge asks a verifier, or a route of the service that decides as they do.
func (m *member) checkAtEdge() {
	began, v := m.ask(func(ctx context.Context) verdict {
		if m.dice.IntN(2) == 0 {
			return m.client.list(ctx, m.pair)
		}
		return m.crowd.soak.anyEdge(m.dice).verify(ctx, m.pair)
	})
	m.judge(began, v, verifier.DefaultBound)
	if v == refused {
		m.crowd.soak.tally.add("edge: refused in time")
	}
}

// judge holds what was asked after the sign-out against the bound.
func (m *member) judge(began time.Time, v verdict, bound time.Duration) {
	ended := m.crowd.ended.Load()
	switch {
	case ended == nil:
	case v == accepted && began.After(ended.Add(bound)):
		m.crowd.soak.believed(m.name, m.pair)
	case v == refused:
		m.crowd.soak.tally.add("crowds: refused")
	}
}
