package tokens

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// Signer signs tokens with the ring's signing key.
type Signer struct {
	cfg  Config
	kind map[Type]signedKind
}

// signedKind is what all tokens of a type share.
type signedKind struct {
	use *keyUse
	// claims begins the claims' JSON: the members that the configuration gives.
	claims []byte
}

// NewSigner returns a signer. It fails if no key of the ring can sign.
func NewSigner(ring *KeyRing, cfg Config) (*Signer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if ring.signing == nil {
		return nil, errors.New("tokens: no key of the ring has a private part for signing")
	}
	return &Signer{cfg: cfg, kind: map[Type]signedKind{
		AccessToken:  {ring.signing.access, commonClaims(cfg.Issuer, cfg.Audience, cfg.ClientID)},
		RefreshToken: {ring.signing.refresh, commonClaims(cfg.Issuer, cfg.TokenEndpoint, "")},
	}}, nil
}

// Sign returns the token for the claims. Issuer comes from the configuration, whatever
// the claims say, and so do Audience and ClientID, unless the claims of an access token
// give one.
func (s *Signer) Sign(c Claims) (Secret, error) {
	kind, known := s.kind[c.Type]
	if !known {
		return "", fmt.Errorf("tokens: unknown type %q", c.Type)
	}
	if c.Custom != "" && !isForm(c.Custom) {
		return "", errors.New("tokens: Custom is not what CustomClaims returns")
	}
	if c.Context != (Context{}) {
		if hasContext(c.Custom) {
			return "", errors.New("tokens: Custom has a context, and so have the claims")
		}
		joined, err := JoinClaims(c.Context, c.Custom)
		if err != nil {
			return "", fmt.Errorf("tokens: sign: %w", err)
		}
		c.Custom = joined
	}
	common := kind.claims
	if audience, clientID := cmp.Or(c.Audience, s.cfg.Audience), cmp.Or(c.ClientID, s.cfg.ClientID); c.Type == AccessToken &&
		(audience != s.cfg.Audience || clientID != s.cfg.ClientID) {
		common = commonClaims(s.cfg.Issuer, audience, clientID)
	}
	claims := appendClaims(make([]byte, 0, claimsRoom), common, c)
	token, err := kind.use.sign(claims)
	if err != nil {
		return "", fmt.Errorf("tokens: sign: %w", err)
	}
	if len(token) > MaxTokenBytes {
		return "", fmt.Errorf("tokens: sign: the token is %w", ErrTooLarge)
	}
	return Secret(token), nil
}

// isForm distinguishes the canonical form of [CustomClaims] from arbitrary text, at
// no cost to a refresh. CustomClaims has already refused what the form must not
// contain.
func isForm(custom string) bool {
	return len(custom) <= MaxCustomBytes && strings.HasPrefix(custom, `{"`) && strings.HasSuffix(custom, "}")
}
