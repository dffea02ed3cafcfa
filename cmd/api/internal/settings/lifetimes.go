package settings

import (
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const maxLifetime = duration(sessionstore.MaxLifetime)

// lifetimes returns how long sessions and their tokens last.
func (s *Serve) lifetimes() sessionstore.Lifetimes {
	l := sessionstore.Lifetimes{
		AccessToken:  time.Duration(s.AccessTokenTTL),
		RefreshToken: time.Duration(s.RefreshTokenTTL),
		Session:      time.Duration(s.SessionTTL),
	}
	if l.RefreshToken == 0 {
		l.RefreshToken = sessionstore.NoIdleTimeout
	}
	return l
}

// bounds returns their bounds.
func (s *Serve) bounds() sessionstore.Bounds {
	return sessionstore.Bounds{
		Min: sessionstore.Lifetimes{AccessToken: time.Duration(s.AccessTokenTTLMin), RefreshToken: time.Duration(s.RefreshTokenTTLMin), Session: time.Duration(s.SessionTTLMin)},
		Max: sessionstore.Lifetimes{AccessToken: time.Duration(s.AccessTokenTTLMax), RefreshToken: time.Duration(s.RefreshTokenTTLMax), Session: time.Duration(s.SessionTTLMax)},
	}
}

// checkLifetimes checks the lifetimes against each other and against their bounds.
func (s *Serve) checkLifetimes() error {
	switch {
	case s.AccessTokenTTL <= 3*s.RefreshGrace: // sessionstore: a pair is handed out again for that long
		return Wrong("LATCHKEY_ACCESS_TOKEN_TTL", s.AccessTokenTTL.String(), "a duration above three times LATCHKEY_REFRESH_GRACE, which is "+s.RefreshGrace.String())
	case s.AccessTokenTTL > duration(sessionstore.MaxAccessTokenTTL):
		return Wrong("LATCHKEY_ACCESS_TOKEN_TTL", s.AccessTokenTTL.String(), "a duration up to 24h")
	case s.AccessTokenTTLMax > duration(sessionstore.MaxAccessTokenTTL):
		return Wrong("LATCHKEY_ACCESS_TOKEN_TTL_MAX", s.AccessTokenTTLMax.String(), "a duration up to 24h")
	case s.RefreshTokenTTL == 0 && s.SessionTTL == 0:
		return Wrong("LATCHKEY_REFRESH_TOKEN_TTL", s.RefreshTokenTTL.String(), "0, for no idle timeout, if LATCHKEY_SESSION_TTL is set; otherwise a duration above LATCHKEY_ACCESS_TOKEN_TTL")
	case s.RefreshTokenTTL != 0 && s.RefreshTokenTTL <= s.AccessTokenTTL:
		return Wrong("LATCHKEY_REFRESH_TOKEN_TTL", s.RefreshTokenTTL.String(), "a duration above LATCHKEY_ACCESS_TOKEN_TTL, which is "+s.AccessTokenTTL.String())
	}
	for _, each := range []struct {
		name, zero       string // zero is the meaning of 0
		ttl, least, most duration
	}{
		{"LATCHKEY_ACCESS_TOKEN_TTL", "", s.AccessTokenTTL, s.AccessTokenTTLMin, s.AccessTokenTTLMax},
		{"LATCHKEY_REFRESH_TOKEN_TTL", "for no idle timeout", s.RefreshTokenTTL, s.RefreshTokenTTLMin, s.RefreshTokenTTLMax},
		{"LATCHKEY_SESSION_TTL", "for no end", s.SessionTTL, s.SessionTTLMin, s.SessionTTLMax},
	} {
		for name, d := range map[string]duration{each.name: each.ttl, each.name + "_MIN": each.least, each.name + "_MAX": each.most} {
			if d > maxLifetime {
				return Wrong(name, d.String(), "a duration up to "+maxLifetime.String())
			}
		}
		switch {
		case each.most != 0 && each.most < each.least:
			return Wrong(each.name+"_MAX", each.most.String(), "a duration from "+each.name+"_MIN on, which is "+each.least.String())
		case each.most != 0 && each.ttl == 0:
			return Wrong(each.name, each.ttl.String()+", "+each.zero, "a duration up to "+each.name+"_MAX, which is "+each.most.String())
		case each.most != 0 && each.ttl > each.most:
			return Wrong(each.name, each.ttl.String(), "a duration up to "+each.name+"_MAX, which is "+each.most.String())
		case each.ttl != 0 && each.ttl < each.least:
			return Wrong(each.name, each.ttl.String(), "a duration from "+each.name+"_MIN on, which is "+each.least.String())
		}
	}
	return nil
}
