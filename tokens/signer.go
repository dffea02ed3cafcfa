package tokens

import (
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// Signer signs tokens with the ring's signing key.
type Signer struct {
	key *key
	cfg Config
}

// NewSigner returns a signer. It fails if no key of the ring can sign.
func NewSigner(ring *KeyRing, cfg Config) (*Signer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if ring.signing == nil {
		return nil, errors.New("tokens: no key of the ring has a private part to sign with")
	}
	return &Signer{key: ring.signing, cfg: cfg}, nil
}

// Sign returns the token for the claims. Issuer, Audience and ClientID come
// from the configuration, whatever the claims say.
func (s *Signer) Sign(c Claims) (Secret, error) {
	c.Issuer = s.cfg.Issuer
	switch c.Type {
	case AccessToken:
		c.Audience, c.ClientID = s.cfg.Audience, s.cfg.ClientID
	case RefreshToken:
		// A refresh token tells its holder nothing but where to bring it.
		c.Audience, c.ClientID, c.Subject = s.cfg.TokenEndpoint, "", ""
	default:
		return "", fmt.Errorf("tokens: unknown type %q", c.Type)
	}
	wire := toWire(c)
	token := jwt.NewWithClaims(s.key.algorithm.method, &wire)
	token.Header["typ"] = string(c.Type)
	token.Header["kid"] = s.key.id
	signed, err := token.SignedString(s.key.private)
	if err != nil {
		return "", fmt.Errorf("tokens: sign: %w", err)
	}
	if len(signed) > MaxTokenBytes {
		return "", fmt.Errorf("tokens: sign: the token is %w", ErrTooLarge)
	}
	return Secret(signed), nil
}
