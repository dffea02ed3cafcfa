package tokens

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

const (
	defaultLeeway = 5 * time.Second
	maxLeeway     = time.Minute
	maxClaimBytes = 512

	defaultRemember = 1 << 15
)

// Config says who issues tokens and for whom. The signer and the verifier of
// one deployment must be given the same.
type Config struct {
	// Issuer is the tokens' iss, the service's public base URL. Required.
	Issuer string
	// Audience is the access tokens' aud: the resource server, or several in the form of
	// [Audience], of which a [Verifier] accepts tokens for any. Required.
	Audience string
	// AcceptedAudiences are further audiences that a [Verifier] accepts access tokens
	// for, while Audience is changed on one replica after another: the old or the
	// new one. None by default.
	AcceptedAudiences []string
	// ClientID is the access tokens' client_id. Zero means the audience.
	ClientID string
	// TokenEndpoint is the refresh tokens' aud. Zero means the issuer followed
	// by /oauth2/token.
	TokenEndpoint string
	// Leeway is how far the local clock may be off when it is compared with
	// exp and nbf. Zero means 5 s; more than a minute is refused.
	Leeway time.Duration
	// Remember is how many verified access tokens a [Verifier] remembers at most, at
	// about 320 bytes each and the session's own claims, so that a token presented again costs a hash
	// instead of a signature check. Zero means 32768; a negative number means none.
	Remember int
	// MissingKey, if set, is called when a token may have been signed by a key
	// that the ring does not have. It must fetch the keys and, if they have changed, call
	// [Verifier.SetRing] with them before it returns; it returns an error if they cannot be
	// fetched. Then Verify returns [ErrKeysUnavailable], which does not mean that the token is
	// invalid. It must limit how long it takes, and how often it fetches. Nil means
	// that the ring is always complete.
	MissingKey func() error
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Check returns an error if tokens cannot be issued or accepted with the configuration.
func (c Config) Check() error {
	_, err := c.withDefaults()
	return err
}

func (c Config) withDefaults() (Config, error) {
	if c.Issuer == "" || c.Audience == "" {
		return c, errors.New("tokens: Issuer and Audience are required")
	}
	c.ClientID = cmp.Or(c.ClientID, c.Audience)
	c.TokenEndpoint = cmp.Or(c.TokenEndpoint, c.Issuer+"/oauth2/token")
	for _, s := range append([]string{c.Issuer, c.Audience, c.ClientID, c.TokenEndpoint}, c.AcceptedAudiences...) {
		if len(appendString(nil, s)) > maxClaimBytes+len(`""`) {
			return c, fmt.Errorf("tokens: Issuer, Audience, ClientID, TokenEndpoint and AcceptedAudiences may have %d bytes each, as JSON writes them", maxClaimBytes)
		}
	}
	for _, audience := range append([]string{c.Audience}, c.AcceptedAudiences...) {
		if err := checkAudience(audience, c.TokenEndpoint); err != nil {
			return c, err
		}
	}
	c.Leeway = cmp.Or(c.Leeway, defaultLeeway)
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		return c, fmt.Errorf("tokens: Leeway is %v, it must be up to %v", c.Leeway, maxLeeway)
	}
	c.Remember = cmp.Or(c.Remember, defaultRemember)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

// audiences returns the accepted audiences of tokens of a type.
func (c Config) audiences(typ Type) []string {
	if typ == RefreshToken {
		return []string{c.TokenEndpoint}
	}
	return append(Audiences(c.Audience), c.AcceptedAudiences...)
}
