package httpapi

import (
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// noLifetime is in place of a number of seconds that no lifetime can have. The store
// refuses it, and names its bounds.
const noLifetime = -time.Second

// newLifetimes are the lifetimes that a body may name, in seconds.
type newLifetimes struct {
	AccessTokenTTL  *int64 `json:"access_token_ttl"`
	RefreshTokenTTL *int64 `json:"refresh_token_ttl"`
	SessionTTL      *int64 `json:"session_ttl"`
}

// lifetimes returns them, with zero for missing ones.
func (n newLifetimes) lifetimes() (l sessionstore.Lifetimes) {
	for _, ttl := range []struct {
		seconds *int64
		to      *time.Duration
	}{{n.AccessTokenTTL, &l.AccessToken}, {n.RefreshTokenTTL, &l.RefreshToken}, {n.SessionTTL, &l.Session}} {
		switch {
		case ttl.seconds == nil:
		case *ttl.seconds == 0 && ttl.to == &l.RefreshToken:
			*ttl.to = sessionstore.NoIdleTimeout
		case *ttl.seconds < 1 || *ttl.seconds > int64(sessionstore.MaxLifetime/time.Second):
			*ttl.to = noLifetime
		default:
			*ttl.to = time.Duration(*ttl.seconds) * time.Second
		}
	}
	return l
}
