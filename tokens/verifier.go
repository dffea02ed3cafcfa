package tokens

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/golang-jwt/jwt/v5"
)

// Verifier checks tokens against a key ring. It remembers access tokens that
// it has verified, since a client sends the same one for minutes: it skips
// only the check of the signature, never that of the times. It is safe for
// concurrent use.
type Verifier struct {
	cfg  Config
	ring atomic.Pointer[verifyingRing]
}

// verifyingRing is a ring as this verifier uses it, with the tokens verified with
// it. They are replaced together: nothing outlives its key.
type verifyingRing struct {
	parsers  map[string]keyParser // by the header that its tokens have
	verified *memory
}

// keyParser parses the tokens of one use of a key.
type keyParser struct {
	use *keyUse
	*jwt.Parser
}

// NewVerifier returns a verifier for the tokens that a [Signer] with the same
// configuration signs.
func NewVerifier(ring *KeyRing, cfg Config) (*Verifier, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	v := &Verifier{cfg: cfg}
	v.SetRing(ring)
	return v, nil
}

// SetRing replaces the keys. From then on a token signed by a key that
// only an earlier ring had is refused, even if it was verified before.
func (v *Verifier) SetRing(ring *KeyRing) {
	parsers := make(map[string]keyParser, len(ring.uses))
	for header, use := range ring.uses {
		parsers[header] = keyParser{use, v.newParser(use)}
	}
	v.ring.Store(&verifyingRing{parsers, newMemory(v.cfg)})
}

func (v *Verifier) newParser(use *keyUse) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{use.method.Alg()}),
		jwt.WithStrictDecoding(),
		jwt.WithIssuer(v.cfg.Issuer),
		jwt.WithAudience(v.cfg.audiences(use.typ)...),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(v.cfg.Leeway),
		jwt.WithTimeFunc(v.cfg.Now),
	)
}

// Verify returns the claims of a token of the given type. Every error is an
// [ErrInvalid], or [ErrKeysUnavailable] if [Config].MissingKey is set; [ErrExpired],
// [ErrNotValidYet] and [ErrWrongType] are returned only for tokens with our signature
// that are otherwise valid.
//
// An iat in the future is not a reason to refuse a token: our signature says that it
// was issued, so one of the two clocks is wrong.
func (v *Verifier) Verify(token string, want Type) (Claims, error) {
	c, err := v.VerifyShared(token, want)
	if err != nil {
		return Claims{}, err
	}
	return *c, nil
}

// VerifyShared is [Verifier.Verify] without a copy: the returned claims are the
// remembered ones, shared with every caller that verifies the same token. They
// must not be changed.
func (v *Verifier) VerifyShared(token string, want Type) (*Claims, error) {
	c, err := v.verify(token)
	if (err == nil || isOfTime(err)) && c.Type != want {
		return nil, ErrWrongType
	}
	if err != nil {
		return nil, err
	}
	return &c.Claims, nil
}

// usualTokenBytes is the size up to which a token is hashed without an allocation.
const usualTokenBytes = 1 << 10

// VerifyAny is [Verifier.Verify] for a token of either type, as RFC 7009 §2.1
// requires. With [ErrExpired] it returns the token's type alone.
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

// VerifyIssued is [Verifier.VerifyAny] for the issuer of the tokens, whose database
// has the clock that timed them and knows their audience: it checks neither the
// times nor the audience of an access token. Callers must, or they accept expired
// tokens.
func (v *Verifier) VerifyIssued(token string) (Claims, error) {
	c, err := v.verify(token)
	isIssued := err == nil || isOfTime(err) || errors.Is(err, ErrWrongAudience) && c.Type == AccessToken
	if !isIssued {
		return Claims{}, err
	}
	return c.Claims, nil
}

// isOfTime reports whether only the time is wrong with a token.
func isOfTime(err error) bool { return errors.Is(err, ErrExpired) || errors.Is(err, ErrNotValidYet) }

// verify returns the claims with [ErrExpired], [ErrNotValidYet] and [ErrWrongAudience] too.
func (v *Verifier) verify(token string) (*verifiedClaims, error) {
	if len(token) > MaxTokenBytes {
		return nil, ErrTooLarge
	}
	ring := v.ring.Load()
	d := digest(sha256.Sum256(append(make([]byte, 0, usualTokenBytes), token...)))
	if c := ring.verified.get(&d); c != nil {
		if c.isExpired(v.cfg.Now(), v.cfg.Leeway) {
			return c, ErrExpired
		}
		return c, nil
	}
	c, err := ring.verify(token, &d, &v.cfg)
	if errors.Is(err, errNoSuchKey) {
		return v.verifyWithNewer(token, &d)
	}
	return c, err
}

// verifyWithNewer is verify for a token whose key the ring does not have: a
// newer ring may have it.
func (v *Verifier) verifyWithNewer(token string, d *digest) (*verifiedClaims, error) {
	if header, _, _ := strings.Cut(token, "."); !isHeader(header) {
		return nil, errUnreadable
	}
	if v.cfg.MissingKey == nil {
		return nil, errNoSuchKey
	}
	if err := v.cfg.MissingKey(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeysUnavailable, err)
	}
	return v.ring.Load().verify(token, d, &v.cfg)
}

// verify checks a token that is not remembered, and remembers a valid access token: a
// client sends a refresh token once. It returns the claims with [ErrExpired],
// [ErrNotValidYet] and [ErrWrongAudience] too.
func (r *verifyingRing) verify(token string, d *digest, cfg *Config) (*verifiedClaims, error) {
	if !isCompact(token) {
		return nil, errNotCompact
	}
	// The ring's keys have one header each, so a header is looked up before the
	// library reads it: alg, typ and kid are exactly what we wrote, and there is
	// no jku, jwk, x5u, x5c or crit (RFC 8725 §3.1, §3.2, §3.10, §3.11; RFC 7515
	// §4.1.11).
	header, _, _ := strings.Cut(token, ".")
	parser, known := r.parsers[header]
	if !known {
		return nil, errNoSuchKey
	}
	claims := &presentedClaims{use: parser.use, cfg: cfg}
	if _, err := parser.ParseWithClaims(token, claims, parser.use.key); err != nil {
		if err = refusal(err); !isOfTime(err) && !errors.Is(err, ErrWrongAudience) {
			return nil, err
		}
		return claims.verified, err
	}
	// An nbf would have to be remembered too. None of our tokens has one.
	if parser.use.typ == AccessToken && claims.NotBefore == 0 {
		r.verified.add(d, claims.verified)
	}
	return claims.verified, nil
}
