package dpop

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

const (
	defaultWindow   = time.Minute
	maxWindow       = 10 * time.Minute
	defaultLeeway   = 5 * time.Second
	defaultRemember = 1 << 20
)

// Config says which proofs are accepted.
type Config struct {
	// BaseURL is what the service's clients see before the path of a request, such
	// as https://api.example.com. It is configured, and not read from the request:
	// behind a proxy the request does not contain it, and what a client claims as
	// the address proves nothing. Required.
	BaseURL string
	// Window is how long after its iat a proof is valid. Zero means 1 minute;
	// more than 10 minutes is refused.
	Window time.Duration
	// Leeway is how far in the future iat may lie. Zero means 5 s; more than a
	// minute is refused.
	Leeway time.Duration
	// Remember is how many proofs are remembered at once, at about 40 bytes each,
	// for up to twice Window and Leeway, or 6 minutes with Nonces. If
	// there are more, requests get [ErrUnavailable]. Zero means 1048576, which is 8,000
	// a second, or with Nonces 2,900.
	Remember int
	// Nonces, if set, are required in each proof. A valid nonce replaces the time (RFC
	// 9449 §11.1): the proof is at most as old as its nonce, whatever its maker's
	// clock says.
	Nonces *Nonces
	// NoncesForClocks requires Nonces only if a proof's times are off: so a client
	// with a wrong clock succeeds with a nonce, and any other needs none.
	NoncesForClocks bool
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() (Config, error) {
	c.Window = cmp.Or(c.Window, defaultWindow)
	c.Leeway = cmp.Or(c.Leeway, defaultLeeway)
	c.Remember = cmp.Or(c.Remember, defaultRemember)
	if c.Now == nil {
		c.Now = time.Now
	}
	switch {
	case c.Window < 0 || c.Window > maxWindow:
		return c, fmt.Errorf("dpop: Window is %v, it must be up to %v", c.Window, maxWindow)
	case c.Leeway < 0 || c.Leeway > time.Minute:
		return c, fmt.Errorf("dpop: Leeway is %v, it must be up to %v", c.Leeway, time.Minute)
	case c.Remember < 0:
		return c, fmt.Errorf("dpop: Remember is %d, it may not be negative", c.Remember)
	}
	if _, err := normalize(c.BaseURL); err != nil {
		return c, fmt.Errorf("dpop: BaseURL is %q, it must be a URL such as https://api.example.com", c.BaseURL)
	}
	return c, nil
}

// Checker checks proofs and remembers them. It is safe for concurrent use.
type Checker struct {
	cfg  Config
	seen *seen
}

// New returns a checker. It starts nothing.
func New(cfg Config) (*Checker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	keep := cfg.Window + cfg.Leeway
	if cfg.Nonces != nil {
		keep = max(keep, nonceLife) // a proof is valid for as long as its nonce
	}
	return &Checker{cfg: cfg, seen: newSeen(keep, cfg.Remember)}, nil
}

// Request is the request that a proof must be for.
type Request struct {
	// Method is the request's method, URL its full public address. Query and
	// fragment are ignored.
	Method, URL string
	// AccessToken is the token that came with the request; empty at the token
	// endpoint, where the proof does not have its hash.
	AccessToken string
}

// Proof is a proof that was checked.
type Proof struct {
	// Thumbprint is the RFC 7638 SHA-256 thumbprint of its key, in base64url: the
	// jkt of the tokens that are bound to it.
	Thumbprint string

	id [16]byte
}

// Check checks a proof except for its replay, see [Checker.Spend]. The error is
// an [ErrInvalid].
func (c *Checker) Check(proof string, want Request) (Proof, error) {
	parsed, err := parse(proof)
	if err != nil {
		return Proof{}, err
	}
	if err := c.checkClaims(parsed.claims, want); err != nil {
		return Proof{}, err
	}
	p := Proof{Thumbprint: parsed.thumbprint}
	digest := sha256.Sum256([]byte(parsed.thumbprint + parsed.claims.ID))
	copy(p.id[:], digest[:])
	return p, nil
}

// checkClaims is RFC 9449 §4.3, checks 8 to 12.
func (c *Checker) checkClaims(claims claims, want Request) error {
	if claims.Method != want.Method {
		return invalid("htm")
	}
	said, err := normalize(claims.URL)
	if err != nil {
		return invalid("htu")
	}
	expected, err := normalize(want.URL)
	if err != nil || said != expected {
		return invalid("htu")
	}
	if claims.IssuedAt == nil {
		return invalid("iat")
	}
	if want.AccessToken != "" {
		digest := sha256.Sum256([]byte(want.AccessToken))
		ath := base64.RawURLEncoding.EncodeToString(digest[:])
		if subtle.ConstantTimeCompare([]byte(ath), []byte(claims.TokenHash)) != 1 {
			return invalid("ath")
		}
	}
	// Last: a client that lacks only the nonce, or the right time, gets exactly that error.
	return c.checkTimes(claims)
}

// checkTimes requires a proof that was made just now: by its nonce, which we issued
// ourselves, or else by its maker's clock.
func (c *Checker) checkTimes(claims claims) error {
	now := c.cfg.Now()
	if c.cfg.Nonces == nil {
		return c.checkClock(claims, now)
	}
	if c.cfg.Nonces.valid(claims.Nonce, now) {
		return nil
	}
	if !c.cfg.NoncesForClocks {
		return ErrUseNonce
	}
	if err := c.checkClock(claims, now); err != nil {
		return fmt.Errorf("%w: %w", ErrUseNonce, err) // a client that knows no nonces can still set its clock
	}
	return nil
}

// checkClock compares as floating-point numbers, because every JSON number is one.
func (c *Checker) checkClock(claims claims, at time.Time) error {
	now := float64(at.UnixMilli()) / 1e3
	leeway := c.cfg.Leeway.Seconds()
	switch {
	case *claims.IssuedAt > now+leeway:
		return wrongClock("iat is in the future", at)
	case *claims.IssuedAt < now-c.cfg.Window.Seconds():
		return wrongClock("iat is too long ago", at)
	// A proof needs neither of the two, but they are binding in a JWT that has them (RFC 7519 §4.1.4,
	// §4.1.5).
	case claims.ExpiresAt != nil && *claims.ExpiresAt <= now-leeway:
		return wrongClock("exp", at)
	case claims.NotBefore != nil && *claims.NotBefore > now+leeway:
		return wrongClock("nbf", at)
	}
	return nil
}

// Spend uses up a proof. Call it once the request's token is known to be valid and
// bound to the proof's key, so that only holders of a token can
// fill the memory; and before the request has an effect. The error is [ErrReplayed]
// or [ErrUnavailable].
func (c *Checker) Spend(p Proof) error { return c.seen.add(p.id, c.cfg.Now()) }

// errNoChecker is returned in a program without a Checker.
var errNoChecker = errors.New("no proof can be checked here")
