package sessionstore

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/internal/sessionid"
)

func (c Config) withDefaults() (Config, error) {
	c.Lifetimes = c.Lifetimes.Or(Lifetimes{AccessToken: DefaultAccessTokenTTL, RefreshToken: DefaultRefreshTokenTTL})
	c.Grace = cmp.Or(c.Grace, DefaultGrace)
	c.LateRetryLimit = cmp.Or(c.LateRetryLimit, DefaultLateRetryLimit)
	if c.Grace < 0 || c.LateRetryLimit < 0 {
		return c, fmt.Errorf("sessionstore: Grace (%v) and LateRetryLimit (%d) must not be negative", c.Grace, c.LateRetryLimit)
	}
	if err := c.Bounds.check(); err != nil {
		return c, err
	}
	if err := c.checkLifetimes(c.Lifetimes); err != nil {
		return c, fmt.Errorf("sessionstore: %w", err)
	}
	c, err := c.withClients()
	if err != nil {
		return c, err
	}
	if c.Shard < 0 || c.Shard > sessionid.MaxShard {
		return c, fmt.Errorf("sessionstore: Shard (%d) must be between 0 and %d", c.Shard, sessionid.MaxShard)
	}
	if c.SealedOnly && c.Sealer == nil {
		return c, errors.New("sessionstore: SealedOnly needs a Sealer")
	}
	if err := checkSealer(c.Sealer); err != nil {
		return c, err
	}
	c.SessionsPerSubjectAction = cmp.Or(c.SessionsPerSubjectAction, EndOldest)
	return c, c.checkLimit()
}

func (c Config) checkLimit() error {
	if c.SessionsPerSubject < 0 {
		return fmt.Errorf("sessionstore: SessionsPerSubject (%d) must not be negative", c.SessionsPerSubject)
	}
	switch c.SessionsPerSubjectAction {
	case EndOldest, RefuseNew:
		return nil
	}
	return fmt.Errorf("sessionstore: SessionsPerSubjectAction (%q) must be %q or %q", c.SessionsPerSubjectAction, EndOldest, RefuseNew)
}

// rules are the rules for deciding about refresh tokens.
func (c Config) rules() refresh.Rules {
	return refresh.Rules{Grace: c.Grace, LateRetryLimit: c.LateRetryLimit, RefuseReplaced: c.RefuseReplaced, Defaults: c.Lifetimes, FirstClient: c.Tokens.ClientID, Audiences: c.audiences()}
}
