package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// heist is a theft, and what must come of it.
type heist struct {
	soak          *soak
	dice          *rand.Rand
	subject       string
	kind          string
	victim, thief *party
	presenter     *party // the one that presents the token that reveals the theft; nil: either of them
	presented     int64  // its generation
	session       string
	complete      bool // it went as planned, so that a report is due
}

// party is one of the two who hold a session's tokens. Unlike the honest clients it acts step by step.
type party struct {
	heist  *heist
	client *client
	pair   pair
}

// minLockstep is how long a lockstep takes, with room for what fails meanwhile: each step is four graces.
const minLockstep = (lateRetryLimit + 1) * 5 * grace

// kinds of theft, as the thief goes about it.
var kinds = map[string]func(*heist) bool{
	// The thief presents a token that the victim has replaced and forgotten.
	"old by the thief": func(h *heist) bool {
		stolen := h.victim.pair
		return h.rotate(h.victim, 2+h.dice.IntN(2)) && h.present(h.thief, stolen)
	},
	// The thief presents the last token after the victim's new one was seen in use.
	"stale by the thief": func(h *heist) bool {
		stolen := h.victim.pair
		return h.rotate(h.victim, 1) && h.confirm(h.victim) && h.present(h.thief, stolen)
	},
	// The thief comes first: it is the victim's token that gives the theft away.
	"stale by the victim": func(h *heist) bool {
		h.thief.pair = h.victim.pair
		return h.rotate(h.thief, 1) && h.confirm(h.thief) && h.present(h.victim, h.victim.pair)
	},
	"old by the victim": func(h *heist) bool {
		h.thief.pair = h.victim.pair
		return h.rotate(h.thief, 2) && h.present(h.victim, h.victim.pair)
	},
	"lockstep": (*heist).lockstep,
}

// rob steals until the storm ends.
func (s *soak) rob() {
	var gang sync.WaitGroup
	for i := range heistsAtOnce {
		gang.Go(func() {
			names := []string{"old by the thief", "stale by the thief", "stale by the victim", "old by the victim"}
			for n := i; s.left() > 0; n++ {
				s.steal(fmt.Sprint("heist ", i, ".", n), names[n%len(names)])
			}
		})
	}
	for n := 0; s.left() > minLockstep; n++ {
		s.steal(fmt.Sprint("lockstep ", n), "lockstep")
	}
	gang.Wait()
}

func (s *soak) steal(subject, kind string) {
	h := &heist{soak: s, dice: s.dice(subject), subject: subject, kind: kind}
	h.victim = &party{heist: h, client: newClient(s, subject+" victim", "victim")}
	h.thief = &party{heist: h, client: newClient(s, subject+" thief", "thief")}
	v := s.persist(func(ctx context.Context) (v verdict) {
		h.victim.pair, v = h.victim.client.signIn(ctx, subject)
		return v
	})
	if v != accepted {
		return
	}
	h.session = h.victim.pair.session
	s.heists.add(h)
	// The token that is stolen is not always a session's first.
	if h.rotate(h.victim, h.dice.IntN(2)) && kinds[kind](h) {
		h.complete = true
		s.tally.add("thefts: " + kind)
	} else {
		s.t.Errorf("%s (%s, session %s) did not go as planned", subject, kind, h.session)
	}
}

// refresh presents the party's own token until it has an answer.
func (p *party) refresh() verdict {
	return p.heist.soak.persist(func(ctx context.Context) verdict {
		next, v := p.client.refresh(ctx, p.pair.Refresh)
		if v == accepted {
			p.pair = next
		}
		return v
	})
}

// rotate has a party get n new generations.
func (h *heist) rotate(p *party, n int) bool {
	for last := p.pair.generation + int64(n); p.pair.generation < last; {
		if !h.soak.awaitRow(h.session, row.rotatable) || p.refresh() != accepted {
			return false
		}
	}
	return true
}

// confirm has a party use its pair until the row says that the pair was seen: a use counts some time after the issue
// only, and a kill loses what was seen just before.
func (h *heist) confirm(p *party) bool {
	return h.soak.awaitRow(h.session, func(r row) bool {
		if r.confirmedAt != nil && r.generation == p.pair.generation {
			return true
		}
		v := h.soak.persist(func(ctx context.Context) verdict { return p.client.use(ctx, p.pair) })
		if v == refused { // by a late retry, or by its age
			p.refresh()
		}
		time.Sleep(150 * time.Millisecond) // confirmations are written in batches
		return false
	})
}

// present has a party present a token that gives the theft away, until it is refused. Sometimes services are killed at
// that very moment.
func (h *heist) present(p *party, stolen pair) bool {
	h.presenter, h.presented = p, stolen.generation
	if !h.soak.awaitRow(h.session, row.graceOver) {
		return false
	}
	if !h.soak.network.calm.Load() {
		ctx, cancel := context.WithCancel(h.soak.t.Context())
		var killer sync.WaitGroup
		defer killer.Wait()
		defer cancel()
		switch pause := between(h.dice, 0, 30*time.Millisecond); h.dice.IntN(6) {
		case 0:
			killer.Go(func() {
				sleep(ctx, pause)
				h.soak.murder("at a theft")
			})
		case 1:
			killer.Go(func() { h.killAfterCommit(ctx) })
		}
	}
	v := h.soak.persist(func(ctx context.Context) verdict {
		_, v := p.client.refresh(ctx, stolen.Refresh)
		return v
	})
	return v == refused
}

// killAfterCommit kills all services when it sees that the theft's transaction was committed. Their next steps are
// never taken.
func (h *heist) killAfterCommit(ctx context.Context) {
	const query = `SELECT "revokedAt" IS NOT NULL FROM "sessionStore" WHERE "id" = $1`
	for committed := false; !committed; {
		if err := h.soak.poolOf(h.session).QueryRow(ctx, query, h.session).Scan(&committed); err != nil { // it was refused, or there is no database
			return
		}
	}
	for range h.soak.services {
		h.soak.murder("after a theft's commit")
	}
}

// lockstep follows the victim one step behind. Neither of them uses an access token, so that each step looks like an
// answer that was lost.
func (h *heist) lockstep() bool {
	h.thief.pair = h.victim.pair
	for steps := range lateRetryLimit + 1 {
		if !h.soak.awaitRow(h.session, row.rotatable) {
			return false
		}
		h.presented = h.victim.pair.generation
		switch h.victim.refresh() {
		case refused: // its own retry came too late, in the very generation that was one too many
			return steps == lateRetryLimit
		case unknown:
			return false
		case accepted:
		}
		if !h.soak.awaitRow(h.session, row.graceOver) {
			return false
		}
		h.presented = h.thief.pair.generation
		switch h.thief.refresh() {
		case refused:
			return steps == lateRetryLimit
		case unknown:
			return false
		case accepted:
		}
	}
	return false // nobody noticed
}

// checkHeists compares what was reported with what was stolen.
func (s *soak) checkHeists() {
	sessions := map[string]bool{}
	for _, h := range s.heists.all() {
		sessions[h.session] = true
		if h.complete {
			h.check()
		}
	}
	for where, r := range map[string]*reports{"webhook": &s.hook.reports, "log": &s.logs.leaks} {
		list, count := r.all()
		s.t.Logf("%s: %d reports, told %d times", where, len(list), count)
		for _, report := range list {
			if !sessions[report.Session] {
				s.t.Errorf("%s: a report of a session that nobody stole from: %+v", where, report)
			}
		}
	}
}

func (h *heist) check() {
	t, end := h.soak.t, h.soak.row(h.session)
	behind := end.generation - h.presented
	theft := "old"
	switch {
	case h.kind == "lockstep":
		theft = "lockstep"
	case behind == 1:
		theft = "stale"
	}
	if !end.revoked {
		t.Errorf("%s (%s): session %s is not revoked", h.subject, h.kind, h.session)
	}
	told := h.soak.hook.reports.of(h.session)
	if logged := h.soak.logs.leaks.of(h.session); !slices.Equal(told, logged) || len(told) != 1 {
		t.Errorf("%s (%s): %d reports of session %s were delivered and %d logged, want the same one:\n%+v\n%+v", h.subject, h.kind, len(told), h.session, len(logged), told, logged)
		return
	}
	if r := told[0]; r.Theft != theft || r.Behind != behind || r.Subject != h.subject || h.presenter != nil && r.PresentedBy.UserAgent != h.presenter.client.agent {
		t.Errorf("%s (%s): want %s, %d behind: %+v", h.subject, h.kind, theft, behind, r)
	}
	for _, p := range []*party{h.victim, h.thief} {
		h.soak.checkDead(h.subject, p.client, p.pair)
	}
}
