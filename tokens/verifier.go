package tokens

import (
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// Verifier checks tokens against a key ring. It may be used by many
// goroutines.
type Verifier struct {
	ring   *KeyRing
	parser *jwt.Parser
	claims map[Type]*jwt.Validator
}

// NewVerifier returns a verifier for the tokens that a [Signer] with the same
// configuration signs.
func NewVerifier(ring *KeyRing, cfg Config) (*Verifier, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	validator := func(audience string) *jwt.Validator {
		return jwt.NewValidator(
			jwt.WithIssuer(cfg.Issuer), jwt.WithAudience(audience),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
			jwt.WithLeeway(cfg.Leeway), jwt.WithTimeFunc(cfg.Now),
		)
	}
	return &Verifier{
		ring: ring,
		// The claims are validated after the signature, by the token's type.
		// Strict decoding: without it the last bits of a signature could be
		// changed and the token would still verify.
		parser: jwt.NewParser(
			jwt.WithValidMethods(AlgorithmNames()), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation(),
		),
		claims: map[Type]*jwt.Validator{
			AccessToken:  validator(cfg.Audience),
			RefreshToken: validator(cfg.TokenEndpoint),
		},
	}, nil
}

// Verify returns the claims of a token of the wanted type. Every error is an
// [ErrInvalid]; [ErrExpired] and [ErrWrongType] are returned only for tokens
// whose signature is ours and which are otherwise in order.
func (v *Verifier) Verify(token string, want Type) (Claims, error) {
	c, err := v.VerifyAny(token)
	if (err == nil || errors.Is(err, ErrExpired)) && c.Type != want {
		return Claims{}, ErrWrongType
	}
	if err != nil {
		return Claims{}, err
	}
	return c, nil
}

// VerifyAny is [Verifier.Verify] for a token of either type, as RFC 7009 §2.1
// wants it. With [ErrExpired] it returns the token's type alone.
func (v *Verifier) VerifyAny(token string) (Claims, error) {
	if len(token) > MaxTokenBytes {
		return Claims{}, ErrTooLarge
	}
	if !isCompactJWS(token) {
		return Claims{}, fmt.Errorf("%w: not a compact JWS", ErrInvalid)
	}
	var wire wireClaims
	parsed, err := v.parser.ParseWithClaims(token, &wire, v.keyFor)
	if err != nil {
		// The library's message is not passed on: it may quote the token.
		return Claims{}, fmt.Errorf("%w: not signed by a key of the ring", ErrInvalid)
	}
	typ := headerType(parsed)
	if err := v.claims[typ].Validate(&wire); err != nil {
		if isOnlyExpired(err) {
			return Claims{Type: typ}, ErrExpired
		}
		return Claims{}, fmt.Errorf("%w: claims", ErrInvalid)
	}
	if wire.IssuedAt == 0 { // RFC 9068 §2.2: required; the library only checks its value
		return Claims{}, fmt.Errorf("%w: iat", ErrInvalid)
	}
	kid, _ := parsed.Header["kid"].(string) // keyFor has found the key by it
	return fromWire(&wire, typ, kid)
}

// keyFor selects the key by kid within the ring, and demands that the header
// agrees with what the key is for (RFC 8725 §3.1).
func (v *Verifier) keyFor(token *jwt.Token) (any, error) {
	if _, has := token.Header["crit"]; has {
		return nil, errors.New("crit is not understood") // RFC 7515 §4.1.11
	}
	kid, ok := token.Header["kid"].(string)
	if !ok {
		return nil, errors.New("no kid")
	}
	k, ok := v.ring.byID[kid]
	if !ok {
		return nil, errors.New("unknown kid")
	}
	if token.Method.Alg() != k.algorithm.name {
		return nil, errors.New("alg is not the key's")
	}
	if _, known := v.claims[headerType(token)]; !known { // RFC 8725 §3.11
		return nil, errors.New("unknown typ")
	}
	return k.public, nil
}

func headerType(token *jwt.Token) Type {
	typ, _ := token.Header["typ"].(string)
	return Type(typ)
}

func isOnlyExpired(err error) bool {
	return errors.Is(err, jwt.ErrTokenExpired) &&
		!errors.Is(err, jwt.ErrTokenInvalidIssuer) && !errors.Is(err, jwt.ErrTokenInvalidAudience) &&
		!errors.Is(err, jwt.ErrTokenNotValidYet) && !errors.Is(err, jwt.ErrTokenUsedBeforeIssued) &&
		!errors.Is(err, jwt.ErrTokenRequiredClaimMissing)
}

// isCompactJWS refuses the line breaks that Go's base64 decoder skips even when
// strict: a token has one spelling.
func isCompactJWS(token string) bool {
	for i := range len(token) {
		switch c := token[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
