package memstore

import (
	"bytes"
	"cmp"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// leastSweep is how many sessions are kept without checking whether they have ended.
const leastSweep = 1000

// Store keeps sessions in memory. It is safe for concurrent use. Its methods do what
// those of [sessionstore.Store] do, and fail with the same errors, except
// [sessionstore.ErrUnavailable].
type Store struct {
	core *sessionstore.Core
	now  func() time.Time
	most int // live sessions of a subject; zero for any number

	mu       sync.Mutex
	rows     map[uuid.UUID]*row
	keys     map[string]*row   // by the keys of their creations
	subjects map[string][]*row // oldest first
	sweepAt  int               // the number of sessions at which to sweep
}

// row is a session and its pair. It is only used under the store's lock.
type row struct {
	pair     sessionstore.Pair
	session  sessionstore.Session // without what is in the pair
	creation *creation            // its key; nil for none
}

// creation is a request with a key.
type creation struct{ key, digest string }

// New returns an empty store. It fails if [sessionstore.New] would, and if cfg sets anything
// that is only for PostgreSQL. No verified tokens are remembered, whatever cfg says.
func New(keys *tokens.KeyRing, cfg sessionstore.Config) (*Store, error) {
	cfg.Tokens.Remember = -1 // the memory has goroutines, for which a bubble would wait
	core, err := sessionstore.NewCore(keys, cfg)
	if err != nil {
		return nil, err
	}
	s := &Store{core: core, now: core.Config().Tokens.Now, most: cfg.SessionsPerSubject}
	s.keep(nil)
	return s, nil
}

// Defaults of [MustNew].
const (
	DefaultIssuer   = "https://id.example.com"
	DefaultAudience = "https://api.example.com"
)

// MustNew is [New] for tests: with its own key, and with [DefaultIssuer] and
// [DefaultAudience] if cfg has none. It panics if New fails.
func MustNew(cfg sessionstore.Config) *Store {
	cfg.Tokens.Issuer = cmp.Or(cfg.Tokens.Issuer, DefaultIssuer)
	cfg.Tokens.Audience = cmp.Or(cfg.Tokens.Audience, DefaultAudience)
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		panic(err)
	}
	keys, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		panic(err)
	}
	s, err := New(keys, cfg)
	if err != nil {
		panic(err)
	}
	return s
}

// Now is the store's time, as precise as PostgreSQL's.
func (s *Store) Now() time.Time { return s.now().Truncate(time.Microsecond) }

// view is the session as callers get it: nothing in it is shared.
func (s *Store) view(r *row, now time.Time) sessionstore.Session {
	session, p := r.session, r.pair
	session.Data, session.Claims = bytes.Clone(session.Data), nil
	context, own, _ := tokens.SplitClaims(p.Claims) // which was split before
	if session.Context = context; own != "" {
		session.Claims = []byte(own)
	}
	session.RefreshedAt, session.ExpiresAt = p.IssuedAt, p.ExpiresAt
	session.Ended = r.ending(now)
	return session
}

// summary is the session as in lists.
func (s *Store) summary(r *row, now time.Time) sessionstore.Session {
	session := s.view(r, now)
	session.Data, session.Claims, session.Checksum = nil, nil, ""
	return session
}

// ending is how the session ended. Revoking an expired session does not end it: it had
// already ended.
func (r *row) ending(now time.Time) sessionstore.Ending {
	p, ended := r.pair, r.session.Ended
	switch {
	case p.Revoked && (!ended.At.After(p.ExpiresAt) || ended.Reason == sessionstore.ReasonTheft):
		return ended
	case now.Before(p.ExpiresAt):
		return sessionstore.Ending{}
	case p.ExpiresAt.Equal(p.End):
		return sessionstore.Ending{At: p.ExpiresAt, Cause: sessionstore.Cause{Reason: sessionstore.ReasonExpired}}
	}
	return sessionstore.Ending{At: p.ExpiresAt, Cause: sessionstore.Cause{Reason: sessionstore.ReasonIdle}}
}

// end revokes the session, unless that was done before.
func (r *row) end(cause sessionstore.Cause, now time.Time) {
	if r.pair.Revoked {
		return
	}
	r.pair.Revoked, r.session.RevokedAt = true, now
	r.session.Ended = sessionstore.Ending{At: now, Cause: cause}
}

// add keeps a session. If there are many, it drops those that have ended.
func (s *Store) add(r *row, now time.Time) {
	if len(s.rows) >= s.sweepAt {
		s.sweep(now)
	}
	s.rows[r.session.ID] = r
	if r.creation != nil {
		s.keys[r.creation.key] = r
	}
	if subject := r.session.Subject; subject != "" {
		s.subjects[subject] = append(s.subjects[subject], r)
	}
}

// sweep drops the sessions that have ended. Its cost is proportional to the number of
// sessions, and as many have been made since the last sweep.
func (s *Store) sweep(now time.Time) {
	var live []*row
	for _, r := range s.rows {
		if s.core.IsLive(r.pair, now) {
			live = append(live, r)
		}
	}
	s.keep(live)
}

// keep replaces all sessions. The maps are replaced, because maps do not shrink.
func (s *Store) keep(live []*row) {
	s.sweepAt = max(leastSweep, 2*len(live))
	s.rows, s.keys = make(map[uuid.UUID]*row, len(live)), map[string]*row{}
	before := s.subjects
	s.subjects = map[string][]*row{}
	for _, r := range live {
		s.rows[r.session.ID] = r
		if r.creation != nil {
			s.keys[r.creation.key] = r
		}
	}
	for subject, rows := range before { // in their order
		for _, r := range rows {
			if s.rows[r.session.ID] == r {
				s.subjects[subject] = append(s.subjects[subject], r)
			}
		}
	}
}
