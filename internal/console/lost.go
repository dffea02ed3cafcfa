package console

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// A session that was not ended is live, even if no key is left with which its tokens verify: an
// operator who wonders why its user was signed out must see that.

// keysSince is when the oldest of today's signing keys was made; zero if unknown.
func (c *Console) keysSince(ctx context.Context) (oldest time.Time) {
	if c.cfg.Service.Keys == nil || c.cfg.Service.OtherKeys {
		return time.Time{}
	}
	keys, err := c.cfg.Service.Keys(ctx)
	if err != nil {
		return time.Time{} // the page works without it
	}
	for _, key := range keys {
		id, err := uuid.Parse(key.ID)
		if err != nil || id.Version() != 7 { // it was made elsewhere
			return time.Time{}
		}
		made := time.Unix(id.Time().UnixTime())
		if oldest.IsZero() || made.Before(oldest) {
			oldest = made
		}
	}
	return oldest
}

// lacksKey reports whether the session's tokens are older than all of today's keys.
func (l layout) lacksKey(s sessionstore.Session) bool {
	last := s.CreatedAt
	if s.RefreshedAt.After(last) {
		last = s.RefreshedAt
	}
	return s.Ended.At.IsZero() && last.Before(l.KeysSince)
}
