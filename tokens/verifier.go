package tokens

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
)

// Verifier checks tokens against a key ring. It remembers access tokens that
// it has verified, since a client sends the same one for minutes: what is
// remembered is the signature's check, never that of the times. It may be used
// by many goroutines.
type Verifier struct {
	cfg  Config
	ring atomic.Pointer[verifyingRing]
}

// verifyingRing is a ring and what was verified with it. They are replaced
// together: nothing outlives its key.
type verifyingRing struct {
	*KeyRing
	verified *memory
}

// NewVerifier returns a verifier for the tokens that a [Signer] with the same
// configuration signs.
func NewVerifier(ring *KeyRing, cfg Config) (*Verifier, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	v := &Verifier{cfg: cfg}
	if err := v.SetRing(ring); err != nil {
		return nil, err
	}
	return v, nil
}

// SetRing replaces the keys. A token that only an earlier ring's key has
// signed is refused from then on, one that was verified before too.
func (v *Verifier) SetRing(ring *KeyRing) error {
	verified, err := newMemory(v.cfg)
	if err != nil {
		return err
	}
	v.ring.Store(&verifyingRing{ring, verified})
	return nil
}

// Verify returns the claims of a token of the wanted type. Every error is an
// [ErrInvalid], or [ErrKeysUnavailable] where [Config].MissingKey is set; [ErrExpired] and [ErrWrongType] are returned only for tokens
// whose signature is ours and which are otherwise in order.
func (v *Verifier) Verify(token string, want Type) (Claims, error) {
	c, err := v.VerifyShared(token, want)
	if err != nil {
		return Claims{}, err
	}
	return *c, nil
}

// VerifyShared is [Verifier.Verify] without a copy: the claims are those that are
// remembered, and shared with whoever verifies the same token. They must not be
// changed.
func (v *Verifier) VerifyShared(token string, want Type) (*Claims, error) {
	c, err := v.verify(token)
	if (err == nil || errors.Is(err, ErrExpired)) && c.Type != want {
		return nil, ErrWrongType
	}
	if err != nil {
		return nil, err
	}
	return &c.Claims, nil
}

// usualTokenBytes is up to which size a token is hashed without an allocation.
const usualTokenBytes = 1 << 10

// VerifyAny is [Verifier.Verify] for a token of either type, as RFC 7009 §2.1
// wants it. With [ErrExpired] it returns the token's type alone.
func (v *Verifier) VerifyAny(token string) (Claims, error) {
	c, err := v.verify(token)
	switch {
	case errors.Is(err, ErrExpired):
		return Claims{Type: c.Type}, err
	case err != nil:
		return Claims{}, err
	}
	return c.Claims, nil
}

// verify returns the claims with [ErrExpired] too.
func (v *Verifier) verify(token string) (*verifiedClaims, error) {
	if len(token) > MaxTokenBytes {
		return nil, ErrTooLarge
	}
	ring := v.ring.Load()
	digest := sha256.Sum256(append(make([]byte, 0, usualTokenBytes), token...))
	c, known := ring.verified.get(digest)
	if !known {
		var err error
		if c, err = ring.verify(token, v.cfg); errors.Is(err, errUnknownKey) {
			ring, c, err = v.verifyWithNewer(ring, token)
		}
		if err != nil {
			return nil, err
		}
	}
	err := v.checkTimes(c)
	if err == nil && !known && c.Type == AccessToken {
		ring.verified.add(digest, c)
	}
	return c, err
}

// verifyWithNewer is verify for a token whose key the ring does not have: there
// may be a newer ring that has it.
func (v *Verifier) verifyWithNewer(ring *verifyingRing, token string) (*verifyingRing, *verifiedClaims, error) {
	if v.cfg.MissingKey == nil || !isHeader(token[:strings.IndexByte(token, '.')]) {
		return ring, nil, errUnknownKey
	}
	if err := v.cfg.MissingKey(); err != nil {
		return ring, nil, fmt.Errorf("%w: %w", ErrKeysUnavailable, err)
	}
	ring = v.ring.Load()
	c, err := ring.verify(token, v.cfg)
	return ring, c, err
}

// verify checks everything that does not change with time.
func (r *KeyRing) verify(token string, cfg Config) (*verifiedClaims, error) {
	fail := func(what string) (*verifiedClaims, error) {
		return nil, fmt.Errorf("%w: %s", ErrInvalid, what)
	}
	header, rest, found := strings.Cut(token, ".")
	payload, signature, found2 := strings.Cut(rest, ".")
	if !found || !found2 {
		return fail("not a compact JWS")
	}
	// The ring's keys have one header each, so a header is looked up and never
	// read: alg, typ and kid are those that we wrote, and there is no jku, jwk,
	// x5u, x5c or crit (RFC 8725 §3.1, §3.2, §3.10, §3.11; RFC 7515 §4.1.11).
	use, known := r.uses[header]
	if !known {
		return nil, errUnknownKey
	}
	mac, err := decodeSegment(signature)
	if err != nil || !use.verify([]byte(token[:len(header)+1+len(payload)]), mac) {
		return fail("not signed by a key of the ring")
	}
	var wire wireClaims
	claims, err := decodeSegment(payload)
	if err != nil || json.Unmarshal(claims, &wire) != nil {
		return fail("claims")
	}
	return wire.check(use, cfg)
}

// decodeSegment refuses every spelling but one: without Strict, and with the
// line breaks that Go's decoder skips, a token could be changed and still verify.
func decodeSegment(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("line break")
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

// checkTimes compares a token's times with the clock (RFC 7519 §4.1.4 to §4.1.6).
func (v *Verifier) checkTimes(c *verifiedClaims) error {
	now, leeway := v.cfg.Now(), v.cfg.Leeway
	if now.Add(leeway).Before(c.validFrom) {
		return fmt.Errorf("%w: not valid yet", ErrInvalid)
	}
	if !now.Before(c.ExpiresAt.Add(leeway)) {
		return ErrExpired
	}
	return nil
}

// verifiedClaims are claims whose token is ours.
type verifiedClaims struct {
	validFrom time.Time // the later one of iat and nbf
	Claims
}
