package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

const journalLength = 60

// kind of an honest client.
type kind int

const (
	app      kind = iota
	rendered      // a browser whose server renders the pages
	compas        // its first pair is one of Compas
)

// user is an honest client: one store for its tokens, which its tabs share, and in which the last answer wins.
type user struct {
	soak *soak
	name string
	tabs []*tab
	kind kind
	// spread is how far before the access token's end a tab may refresh. Where it is short, all tabs do at once.
	spread time.Duration

	mu      sync.Mutex
	pair    pair
	refused bool // its access token was
	dead    bool
	journal []string
}

func signInUser(s *soak, i int) *user {
	s.t.Helper()
	u := &user{soak: s, name: fmt.Sprint("user ", i), kind: []kind{app, app, app, app, rendered, rendered, compas, app}[i%8], spread: []time.Duration{accessTokenTTL / 10, accessTokenTTL / 2}[i/4%2]}
	if u.kind == compas && s.shards != nil { // which has one database
		u.kind = app
	}
	for n := range 1 + i%4 {
		name := fmt.Sprint(u.name, " tab ", n)
		u.tabs = append(u.tabs, &tab{user: u, name: name, client: newClient(s, name, "tab"), dice: s.dice("mind of " + name)})
	}
	if u.kind == compas {
		u.pair = s.signInToCompas()
		return u
	}
	v := s.persist(func(ctx context.Context) (v verdict) {
		u.pair, v = u.tabs[0].client.signIn(ctx, u.name)
		return v
	})
	if v != accepted {
		s.t.Fatalf("sign in: %s", v)
	}
	return u
}

func (u *user) load() (p pair, tokenRefused bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.pair, u.refused
}

// store keeps what a tab was answered, unless the answer took too long.
func (u *user) store(ctx context.Context, p pair) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if ctx.Err() == nil {
		u.pair, u.refused = p, false
	}
}

// suspect notes that the access token was refused, if it is still the one.
func (u *user) suspect(p pair) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refused = u.refused || u.pair.Access == p.Access
}

func (u *user) note(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.journal = append(u.journal, time.Now().UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	if len(u.journal) > journalLength {
		u.journal = u.journal[1:]
	}
}

// loggedOut is what must not happen.
func (u *user) loggedOut() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.dead {
		u.dead = true
		u.soak.tally.add("FALSE LOGOUTS")
		u.soak.t.Errorf("%s was logged out of session %s, and nobody had robbed it:\n%s", u.name, u.pair.session, strings.Join(u.journal, "\n"))
	}
}

func (u *user) isDead() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.dead
}

// tab is a goroutine of a user.
type tab struct {
	user   *user
	name   string
	client *client
	dice   *rand.Rand
}

func (t *tab) live() {
	for t.user.soak.pause(t.pause()) && !t.user.isDead() {
		if t.user.kind == rendered {
			t.loadPage()
			continue
		}
		p, tokenRefused := t.user.load()
		age := time.Since(p.since) + between(t.dice, 0, t.user.spread)
		switch n := t.dice.IntN(100); {
		case tokenRefused, age > accessTokenTTL, n < 2: // the last one is just eager
			t.refresh()
		case n < 70:
			t.use("uses", t.client.use)
		default:
			t.use("has introspected", t.client.introspect)
		}
	}
}

// pause is short, but for a tab in the background or a laptop that is closed.
func (t *tab) pause() time.Duration {
	if t.user.kind == rendered {
		return between(t.dice, grace/4, 4*grace)
	}
	if t.dice.IntN(50) == 0 {
		return between(t.dice, grace, 5*grace)
	}
	return between(t.dice, 20*time.Millisecond, 500*time.Millisecond)
}

// refresh is one attempt: if the outcome is unknown, the tokens are kept and the next round tries again.
func (t *tab) refresh() {
	// The time counts from before the token was read.
	ctx, cancel := context.WithTimeout(t.user.soak.t.Context(), patience)
	defer cancel()
	if p, v := t.present(ctx); v == accepted {
		t.user.store(ctx, p)
	}
}

// present presents the refresh token and leaves the use of the answer to its caller.
func (t *tab) present(ctx context.Context) (pair, verdict) {
	old, _ := t.user.load()
	t.user.note("%s presents %d", t.name, old.generation)
	p, v := t.client.refresh(ctx, old.Refresh)
	t.user.note("%s presented %d: %s %d", t.name, old.generation, v, p.generation)
	switch v {
	case accepted:
		if p.session != old.session || p.generation != old.generation && p.generation != old.generation+1 {
			t.user.soak.t.Errorf("%s presented generation %d of %s and got %d of %s", t.name, old.generation, old.session, p.generation, p.session)
		}
		if t.user.kind == compas && old.generation == 0 {
			t.user.soak.tally.add("compas: taken over")
		}
	case refused:
		t.user.loggedOut()
	case unknown:
	}
	return p, v
}

func (t *tab) use(what string, use func(context.Context, pair) verdict) {
	ctx, cancel := context.WithTimeout(t.user.soak.t.Context(), patience)
	defer cancel()
	p, _ := t.user.load()
	v := use(ctx, p)
	t.user.note("%s %s %d: %s", t.name, what, p.generation, v)
	if v == refused {
		t.user.suspect(p)
	}
}

// checkClients makes every client refresh once more, and use the result.
func (s *soak) checkClients() {
	for _, u := range s.users {
		c := u.tabs[0].client
		if u.isDead() {
			continue
		}
		var p pair
		v := s.persist(func(ctx context.Context) (v verdict) {
			p, v = c.refresh(ctx, u.pair.Refresh)
			return v
		})
		u.note("at the end: %s %d", v, p.generation)
		if v == accepted {
			u.pair = p
			v = s.persist(func(ctx context.Context) verdict { return c.use(ctx, p) })
		}
		if v != accepted {
			u.loggedOut()
		}
	}
}
