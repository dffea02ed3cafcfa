package verifier

import (
	"crypto/rand"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// sweepShards of the shards are swept at each proof: all of them in about 16 s.
	sweepShards = 4
	// clockTolerance is how far the clock may be set back, as when it is corrected,
	// before swept sessions matter.
	clockTolerance = 2 * time.Second
)

// Set is what a [Verifier] knows about revocations: which sessions were recently revoked, which
// access tokens superseded, when everyone was signed out, and until when this is proven to be complete. A source fills it. It is safe
// for concurrent use.
type Set struct {
	bound  time.Duration
	now    func() Moment
	clock  *databaseClock
	logger *slog.Logger

	known atomic.Pointer[knowledge] // nil until it has been complete once

	mu      sync.Mutex // for writers, and for the feed
	loading *table     // the set that a reset is filling
	// fresh is what was added since the last proof, unless it is too much to keep.
	fresh   []Revocation
	unkept  bool
	history history
	failing bool
	restart func() // makes the source start over
}

// knowledge is one state of the set. Entries are added to the table while it is current.
type knowledge struct {
	sessions *table
	proof    Moment
	// version counts the proofs.
	version uint64
	cursor  string
	// swept is the part of the table's from that is due to the clock.
	swept int64
}

func newSet(bound time.Duration, clock *databaseClock) *Set {
	return &Set{
		bound: bound, now: clock.now, clock: clock, logger: clock.logger,
		history: history{name: strings.ToLower(rand.Text()[:10]), most: maxHistory, changed: make(chan struct{})},
		restart: func() {},
	}
}

// Bound is how old a proof may be. A source that asks four times within it
// can afford one unanswered request.
func (s *Set) Bound() time.Duration { return s.bound }

// Now reads the clocks that proofs are compared with.
func (s *Set) Now() Moment { return s.now() }

// Age returns how old the last proof is: the set has all that was revoked
// earlier than that. Before there is one, it is the maximum duration.
func (s *Set) Age() time.Duration {
	if k := s.known.Load(); k != nil {
		return s.now().Since(k.proof)
	}
	return math.MaxInt64
}

// Len counts the revoked sessions that are remembered.
func (s *Set) Len() int {
	if k := s.known.Load(); k != nil {
		return k.sessions.len()
	}
	return 0
}

// verdict reports whether an access token's session was revoked, or the token superseded.
//
// The order matters. The proof is read before the table, so the table has at
// least what the proof covers; how far back the table goes is read after it, because it
// may be swept meanwhile; and the clock is read last, so that any time for which the
// process was stopped in between counts.
func (s *Set) verdict(token *tokens.Claims) verdict {
	if s == nil { // the session is in a shard that is not followed
		return unknown
	}
	return s.verdictBy(s.known.Load(), token)
}

func (s *Set) verdictBy(k *knowledge, token *tokens.Claims) verdict {
	if k == nil {
		return unknown
	}
	ofEra := k.sessions.eras.verdict(token)
	switch {
	case k.sessions.has(token.SessionID), k.sessions.superseded.has(token.TokenID, token.Generation):
		return revoked
	case ofEra != live:
		return ofEra
	case token.ExpiresAt.Unix()+int64(Slack/time.Second) < k.sessions.from.Load():
		// The table does not go back that far. By the earlier clock this token
		// expired long ago, so the clock has been set back since.
		return unknown
	case s.now().Since(k.proof) > s.bound:
		return unknown
	}
	return live
}

// Apply takes what a source found out.
func (s *Set) Apply(b Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.known.Load()
	if b.Reset {
		s.loading, s.fresh, s.unkept = new(table), nil, false
	}
	into, from := s.loading, b.From
	if into == nil {
		if k == nil {
			return // there is no set yet to which this could belong
		}
		into, from = k.sessions, max(k.sessions.from.Load(), b.From)
		if s.fresh = append(s.fresh, b.Sessions...); len(s.fresh) > s.history.most {
			// It is still in the table. A source that fails again and again
			// before its last batch must not fill the memory.
			s.fresh, s.unkept = nil, true
		}
	}
	for _, r := range b.Sessions {
		switch {
		case r.Era != 0:
			into.eras.add(r)
		case r.Until < max(1, from): // its time is over, or missing: a slot without one is free
		case r.Below != 0:
			into.superseded.add(r.TokenID, r.Below, toSeconds(r.Until))
		default:
			into.add(r.SessionID, toSeconds(r.Until))
		}
	}
	if b.Proof.IsZero() {
		return
	}
	if !b.Now.IsZero() {
		s.clock.learn(b.Now, b.Proof)
		s.clock.watch()
	}
	s.prove(k, b, into)
}

// prove publishes the state after the batches up to this one.
func (s *Set) prove(before *knowledge, b Batch, sessions *table) {
	now := s.clock.time().Unix()
	k := &knowledge{sessions: sessions, proof: b.Proof, cursor: b.Cursor, version: 1, swept: now}
	from := b.From
	if before != nil {
		k.version = before.version + 1
	}
	switch {
	case s.loading == nil:
		from, k.swept = max(sessions.from.Load(), b.From, now), max(before.swept, now)
	case before != nil:
		// A revocation is final, even if the source has lost it. Superseding tokens is
		// not: what superseded them is lost as well, and their generations are issued
		// again.
		sessions.keep(before.sessions, toSeconds(max(1, b.From)))
	}
	sessions.from.Store(from)
	s.known.Store(k)
	s.history.add(k.version, s.fresh, s.loading != nil)
	if s.unkept {
		s.history.forget(k.version)
	}
	if s.loading == nil {
		for i := range sweepShards {
			sessions.sweep((int(k.version%shardCount)*sweepShards+i)%shardCount, toSeconds(from))
		}
		if now < k.swept-int64(clockTolerance/time.Second) {
			s.restart() // the clock was set back: some were dropped too early
		}
	}
	s.loading, s.fresh, s.unkept = nil, nil, false
	if s.failing {
		s.failing = false
		s.logger.Info("revocations are followed again")
	}
}

// restartBy sets the function that makes the source start over.
func (s *Set) restartBy(restart func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restart = restart
}

// Failed is called with the reason why a source could not send a request, or got no
// response. It is logged once the last proof is too old.
func (s *Set) Failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.failing && s.Age() > s.bound {
		s.failing = true
		s.logger.Warn("revocations cannot be followed: each token is checked with the service", slog.Any("error", err))
	}
}
