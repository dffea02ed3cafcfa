//go:build !race

package refresh

import (
	"cmp"
	"slices"
	"time"
)

// The states of the model. modelcheck_internal_test.go says what is checked.

// settings are the rules and the scope of a scenario. Times are in ticks.
type settings struct {
	grace, accessToken, lateRetryLimit int8
	// patience is the longest that a request and its answer take together.
	patience int8
	// outage is the time for which a database that fails over answers nothing.
	outage int8
	// lost is the most generations that a failover loses.
	lost int8
	// skew is how much the database's clock may be set, either way and again and again:
	// by an operator, or because another server takes over.
	skew int8
	// other is a second replica, which any request may reach, and at the replica that answers.
	other, at replica
	// inFlight is the most messages that are on their way at once.
	inFlight int
}

// replica is how one that is asked differs from the others. The zero replica does not.
type replica struct {
	shorter int8 // its grace is
	ahead   int8 // its clock is, and it goes by that: an assumption that is dropped
}

const (
	tick  = time.Second
	month = 100 * tick // longer than anything takes in the model
	never = int8(-100) // the age of what has not happened; a negative one is that of a time in the future
	// generationZero is what the model's generation 0 is to decide.
	generationZero = 1000
)

func (s settings) rules() Rules {
	return Rules{
		Grace: time.Duration(s.grace-s.at.shorter) * tick, LateRetryLimit: int(s.lateRetryLimit),
		Defaults: Lifetimes{AccessToken: time.Duration(s.accessToken) * tick, RefreshToken: month},
	}
}

// token is what a client holds: a refresh token and an access token, by their generations.
type token struct {
	refresh, access int8
	// lost means: a failover lost the commit that made the access token. The
	// database may number another one the same, but at another time.
	lost bool
}

func (t *token) shift(by token) { t.refresh, t.access = t.refresh+by.refresh, t.access+by.access }

// raise makes tokens equal that are equally useless where oldest is the oldest pair.
func (t *token) raise(oldest token) {
	t.refresh, t.access = max(t.refresh, oldest.refresh-2), max(t.access, oldest.access-2)
	t.lost = t.lost && t.access >= oldest.access
}

// row is a pair with ages in place of times, and what the checker has seen of it.
type row struct {
	token
	created, issued, minted, confirmed int8 // ages; minted is the access token's
	shorter                            int8 // the grace with which it was issued
	unsettled                          int8 // in how many ticks uses will count; below zero for how long they do
	lateGeneration, lateRetries        int8
	revoked                            bool
	seen                               seen
}

// seen is the checker's own memory of the answers that were given: the invariants must not rely on what a mutant
// writes.
type seen struct {
	replaced    int8  // the token that the last rotation replaced …
	by          token // … the pair that it gave for it …
	rotated     int8  // … and its age
	issued      int8  // age of the last rotation or late retry
	used        int8  // age of the first recorded use after that
	lateAt      int8  // the last generation with a late retry …
	lateRetries int8  // … and how many in a row up to it had one
	below       int8  // access tokens of a generation below were superseded
}

var firstRow = row{issued: never, confirmed: never, seen: seen{issued: never, used: never, lateAt: -2, rotated: 100, below: -2}}

// eachAge calls f with each age and the age beyond which nothing depends on it.
func (r *row) eachAge(s settings, f func(age *int8, most int8)) {
	// A clock that is set back makes everything younger.
	f(&r.created, s.grace+s.skew)
	f(&r.issued, SettleGraces*s.grace+s.skew)
	f(&r.minted, s.accessToken+s.skew)
	f(&r.confirmed, s.grace+s.skew)
	f(&r.seen.rotated, s.grace+s.skew)
	f(&r.seen.issued, s.grace+s.skew)
	f(&r.seen.used, s.grace+s.skew)
}

func (r *row) tick(s settings) { r.pass(1, s) }

// pass lets time pass by the database's clock, or takes it back.
func (r *row) pass(ticks int8, s settings) {
	r.eachAge(s, func(age *int8, most int8) {
		if *age != never {
			*age = min(*age+ticks, most)
		}
	})
	r.unsettled = max(r.unsettled-ticks, -s.skew)
}

// forget drops what nothing depends on any more.
func (r *row) forget(s settings) {
	if r.revoked {
		kept := r.token
		*r = firstRow
		r.token, r.revoked = kept, true
		r.seen.below = r.access - 2
	}
	r.eachAge(s, func(age *int8, most int8) { *age = min(*age, most) })
	if r.lateGeneration < r.refresh-1 {
		r.lateGeneration = r.refresh - 2
	}
	if r.seen.lateAt < r.refresh-1 {
		r.seen.lateAt, r.seen.lateRetries = r.refresh-2, 0
	}
	r.seen.below = max(r.seen.below, r.access-2) // no token is older: see raise
	if r.seen.rotated == s.grace+s.skew {
		r.seen.replaced, r.seen.by = r.refresh-1, r.token
	}
}

func (r *row) shift(by token) {
	r.token.shift(by)
	r.seen.by.shift(by)
	for _, generation := range []*int8{&r.lateGeneration, &r.seen.replaced, &r.seen.lateAt} {
		*generation += by.refresh
	}
	r.seen.below += by.access
}

// modelNow is the present whenever decide is called.
var modelNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// now is what the replica that answers takes for the present.
func (s settings) now() time.Time { return modelNow.Add(time.Duration(s.at.ahead) * tick) }

// pair is the row as decide reads it.
func (r *row) pair(s settings) Pair {
	ago := func(age int8) time.Time {
		if age == never {
			return time.Time{}
		}
		return modelNow.Add(-time.Duration(age) * tick)
	}
	return Pair{
		Revoked: r.revoked, ExpiresAt: modelNow.Add(month),
		Generation: generationZero + int64(r.refresh), CreatedAt: ago(r.created), IssuedAt: ago(r.issued), Grace: time.Duration(s.grace-r.shorter) * tick,
		SettledAt:           modelNow.Add(time.Duration(r.unsettled) * tick),
		LateRetryGeneration: generationZero + int64(r.lateGeneration), LateRetries: int(r.lateRetries),
		AccessGeneration: generationZero + int64(r.access), AccessExpiresAt: ago(r.minted).Add(time.Duration(s.accessToken) * tick),
		ConfirmedAt: ago(r.confirmed),
	}
}

// write makes the row what decide says.
func (r *row) write(p Pair, s settings) {
	age := func(t time.Time) int8 {
		if t.IsZero() {
			return never
		}
		return int8(modelNow.Sub(t) / tick)
	}
	r.refresh, r.access = int8(p.Generation-generationZero), int8(p.AccessGeneration-generationZero)
	r.created, r.issued, r.confirmed = age(p.CreatedAt), age(p.IssuedAt), age(p.ConfirmedAt)
	r.shorter = s.grace - int8(p.Grace/tick)
	r.unsettled = max(-age(p.SettledAt), -s.skew)
	r.minted = s.accessToken - int8(p.AccessExpiresAt.Sub(modelNow)/tick)
	r.lateGeneration, r.lateRetries = int8(p.LateRetryGeneration-generationZero), int8(p.LateRetries)
}

// message is on its way between a client and the service.
type message struct {
	kind  messageKind
	age   int8 // since the client sent its request
	token token
}

type messageKind int8

const (
	noMessage messageKind = iota
	aRequest              // with a refresh token
	anAnswer              // with a pair
	aUse                  // of an access token, until Get has recorded it
)

func compareMessages(a, b message) int {
	return cmp.Or(cmp.Compare(b.kind, a.kind), cmp.Compare(a.age, b.age),
		cmp.Compare(a.token.refresh, b.token.refresh), cmp.Compare(a.token.access, b.token.access))
}

const maxInFlight = 4

// world is a state of the model: the database, its clients, and what is between them.
type world struct {
	db       row
	ended    bool // the session was revoked, whatever the database has made of that
	standby  row  // what a failover falls back to
	failover failover
	clock    int8 // how far the database's is ahead, of up to skew
	down     int8 // for how many ticks the database answers nothing
	inFlight [maxInFlight]message

	store  token // the client's, shared by its tabs
	thief  token // the thief's own copy
	robbed bool

	// Where the two keep their distance (see scenario.turns):
	rested  int8 // ticks since the last turn
	streak  int8 // turns that the same one had in a row, the thief's as negative numbers
	turns   int8 // turns since the theft
	parting int8 // generations since the theft
}

// lose marks what a failover to the standby has lost.
func (w *world) lose() {
	mark := func(t *token) { t.lost = t.access > w.standby.access }
	mark(&w.store)
	mark(&w.thief)
	for i := range w.inFlight {
		mark(&w.inFlight[i].token)
	}
}

// failover is how far the one failover has come.
type failover int8

const (
	notYet  failover = iota // it may still begin
	lagging                 // the standby stays behind from now on
	failedOver
)

func (w *world) tick(s scenario) {
	w.db.tick(s.settings)
	w.standby.tick(s.settings)
	w.down = max(w.down-1, 0)
	w.rested = min(w.rested+1, s.spacing)
	for i := range w.inFlight {
		m := &w.inFlight[i]
		if m.age++; m.age > s.patience {
			*m = message{} // the client has timed out
		}
	}
}

// canonical makes worlds equal that behave alike: it counts generations from
// the row's and drops differences that make none.
func (w world) canonical(s settings) world {
	if w.failover == lagging && (w.db.refresh-w.standby.refresh > s.lost || w.db.access-w.standby.access > s.lost+1) {
		w.failover = failedOver // it has caught up: out of scope
	}
	w.db.forget(s)
	oldest := w.db.token // of all tokens that anything still depends on
	if w.failover == lagging {
		w.standby.forget(s)
		oldest = token{refresh: min(oldest.refresh, w.standby.refresh), access: min(oldest.access, w.standby.access)}
	} else {
		w.standby = row{}
	}
	if !w.robbed {
		w.thief = oldest
	}
	w.store.raise(oldest)
	w.thief.raise(oldest)
	for i := range w.inFlight {
		m := &w.inFlight[i]
		switch m.token.raise(oldest); {
		case m.kind == noMessage, m.kind == aUse && m.token.access < oldest.access-1:
			*m = message{}
		case m.kind == aRequest:
			m.token.access, m.token.lost = oldest.access, false
		}
	}

	by := token{refresh: -w.db.refresh, access: -w.db.access}
	w.db.shift(by)
	if w.failover == lagging {
		w.standby.shift(by)
	}
	w.store.shift(by)
	w.thief.shift(by)
	for i := range w.inFlight {
		if w.inFlight[i].kind != noMessage {
			w.inFlight[i].token.shift(by)
		}
	}
	slices.SortFunc(w.inFlight[:], compareMessages)
	return w
}
