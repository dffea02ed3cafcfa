package httpapi

import (
	"fmt"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// maxSeconds is the longest lifetime.
const maxSeconds = int64(sessionstore.MaxLifetime / time.Second)

// newLifetimes are the lifetimes that a body may name, in seconds.
type newLifetimes struct {
	AccessTokenTTL  *int64 `json:"access_token_ttl"`
	RefreshTokenTTL *int64 `json:"refresh_token_ttl"`
	SessionTTL      *int64 `json:"session_ttl"`
}

// lifetimes returns them, with zero for those that are not there.
func (n newLifetimes) lifetimes() (l sessionstore.Lifetimes, err error) {
	for _, ttl := range []struct {
		pointer string
		seconds *int64
		least   int64
		to      *time.Duration
	}{
		{"/access_token_ttl", n.AccessTokenTTL, 1, &l.AccessToken},
		{"/refresh_token_ttl", n.RefreshTokenTTL, 0, &l.RefreshToken},
		{"/session_ttl", n.SessionTTL, 1, &l.Session},
	} {
		if ttl.seconds == nil {
			continue
		}
		if *ttl.seconds < ttl.least || *ttl.seconds > maxSeconds {
			return l, invalidMember(ttl.pointer, fmt.Sprintf("It must be between %d and %d seconds.", ttl.least, maxSeconds))
		}
		*ttl.to = time.Duration(*ttl.seconds) * time.Second
	}
	if n.RefreshTokenTTL != nil && l.RefreshToken == 0 {
		l.RefreshToken = sessionstore.NoIdleTimeout
	}
	return l, nil
}
