package sessionstore

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/canonical"
	"github.com/latchkey-sessions/latchkey/internal/refresh"
)

// Request is a checked request to [Store.Create] or [Store.Replace]: see [Core.Check].
type Request struct {
	asked checkedParams
	was   replaced
}

// Check validates a request for a new session. A zero Replaced is for Create.
func (c *Core) Check(params CreateParams, was Replaced) (r Request, err error) {
	if was != (Replaced{}) {
		if r.was, err = c.core.named(was); err != nil {
			return r, err
		}
	}
	if r.asked, err = c.core.checkParams(params); err != nil {
		return r, err
	}
	r.was.keepsData = r.was.id != uuid.Nil && len(params.Data) == 0
	r.asked.once = newOnce(r.asked, r.was)
	return r, nil
}

// Replaces is the session whose place the new one takes; zero for none.
func (r Request) Replaces() uuid.UUID { return r.was.id }

// Key identifies the creation; empty for none. A session that already has the key
// is the answer if its digest is the same.
func (r Request) Key() string { return string(r.asked.once.key) }

// Digest distinguishes the request from others with the same key.
func (r Request) Digest() string { return canonical.Sum(r.asked.once.request) }

// KnownFor is how long after its creation a session counts as having the key; zero
// means forever.
func (c *Core) KnownFor(r Request) time.Duration {
	if r.asked.once.isImplicit() {
		return refresh.FreshGraces * c.core.rules.Grace
	}
	return 0
}

// CheckReplaced returns why the request cannot replace the session in its current state, or nil if it can.
func (r Request) CheckReplaced(old Session, p Pair, now time.Time) error {
	switch {
	case !isLive(p, now):
		return ErrNotReplaceable
	case !r.was.tokenExpiresAt.IsZero() && !now.Before(r.was.tokenExpiresAt):
		return errReplacesExpired
	case r.was.checksum != "" && r.was.checksum != old.Checksum:
		return &ConflictError{Checksum: old.Checksum}
	}
	return nil
}

// Draft is a session to store, with its pair.
type Draft struct {
	Session Session
	Pair    Pair

	lifetimes Lifetimes
}

// Draft makes a session from the request. Where the request has no subject, label or data, it
// has those of old, the session whose place it takes: old must still be the same when the new
// one is stored.
func (c *Core) Draft(ctx context.Context, r Request, old Session) (Draft, error) {
	asked := r.asked
	if r.was.id != uuid.Nil {
		asked.params.Subject = cmp.Or(asked.params.Subject, old.Subject)
		asked.params.Client.Label = cmp.Or(asked.params.Client.Label, old.Client.Label)
	}
	if r.was.keepsData {
		var err error
		asked.params.Data = old.Data
		if asked.content, err = canonicalForm(old.Data); err != nil {
			return Draft{}, err
		}
	}
	made, err := c.core.prepare(ctx, asked)
	if err != nil {
		return Draft{}, err
	}
	return Draft{made.session, made.pair, made.lifetimes}, nil
}

// Begin makes the session begin now.
func (d *Draft) Begin(now time.Time) {
	expiresAt, accessExpiresAt := now.Add(d.lifetimes.RefreshToken), now.Add(d.lifetimes.AccessToken)
	if d.lifetimes.Session != 0 {
		d.Pair.End = now.Add(d.lifetimes.Session)
		expiresAt, accessExpiresAt = earlier(expiresAt, d.Pair.End), earlier(accessExpiresAt, d.Pair.End)
	}
	made := creation{session: d.Session, pair: d.Pair}
	made.is(granted{now: now, expiresAt: expiresAt, accessExpiresAt: accessExpiresAt})
	d.Session, d.Pair = made.session, made.pair
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
