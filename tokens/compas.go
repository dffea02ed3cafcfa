package tokens

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const (
	// compasHeader is {"alg":"HS256","typ":"JWT"}, as Compas writes it in each token.
	compasHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

	// minCompasKey is how many UTF-16 code units Compas requires of its key.
	minCompasKey = 20

	// maxCompasSeconds is the end of the year 9999: RFC 3339 cannot express a
	// later time.
	maxCompasSeconds = 253_402_300_799
)

// CompasClaims are the contents of a token that Compas (@compas/store) issued:
// the row of "sessionStoreToken" that it represents, and nothing else.
type CompasClaims struct {
	Type    Type
	TokenID uuid.UUID
	// ExpiresAt has a resolution of one second. It is zero for a token that
	// never expires.
	ExpiresAt time.Time
}

// CompasVerifier checks tokens that Compas issued, so that they keep working
// after its sessions were taken over. It is safe for concurrent use.
type CompasVerifier struct {
	key    []byte
	parser *jwt.Parser
}

// NewCompasVerifier returns a verifier for the tokens of Compas' signingKey. Of
// the configuration it uses the clock and its leeway, in whole seconds.
func NewCompasVerifier(signingKey Secret, cfg Config) (*CompasVerifier, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := CheckCompasKey(signingKey); err != nil {
		return nil, err
	}
	return &CompasVerifier{key: []byte(signingKey), parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithStrictDecoding(),
		jwt.WithLeeway(cfg.Leeway.Truncate(time.Second)),
		jwt.WithTimeFunc(cfg.Now),
	)}, nil
}

// CheckCompasKey refuses a key that Compas would not have accepted.
func CheckCompasKey(signingKey Secret) error {
	if len(utf16.Encode([]rune(string(signingKey)))) < minCompasKey {
		return fmt.Errorf("tokens: Compas' signing key has %d characters or more", minCompasKey)
	}
	return nil
}

// LooksLikeCompas reports whether a token has the header of a token that
// Compas issued; none of ours has it. It verifies nothing.
func LooksLikeCompas(token string) bool { return strings.HasPrefix(token, compasHeader+".") }

// Verify returns the claims of a token of the given type. Every error is an
// [ErrInvalid], as with [Verifier.Verify].
func (v *CompasVerifier) Verify(token string, want Type) (CompasClaims, error) {
	c, err := v.VerifyAny(token)
	if (err == nil || errors.Is(err, ErrExpired)) && c.Type != want {
		return CompasClaims{}, ErrWrongType
	}
	if err != nil {
		return CompasClaims{}, err
	}
	return c, nil
}

// VerifyAny is [CompasVerifier.Verify] for a token of either type. With
// [ErrExpired] it returns the token's type alone.
func (v *CompasVerifier) VerifyAny(token string) (CompasClaims, error) {
	c, err := v.verify(token)
	if err != nil {
		return CompasClaims{Type: c.Type}, err
	}
	return c, nil
}

// VerifyIssued is [CompasVerifier.VerifyAny] for a caller with the database's clock, which
// decides whether a token has expired: it does not check the time. Callers must, or they
// accept expired tokens.
func (v *CompasVerifier) VerifyIssued(token string) (CompasClaims, error) {
	c, err := v.verify(token)
	if err != nil && !errors.Is(err, ErrExpired) {
		return CompasClaims{}, err
	}
	return c, nil
}

// verify returns the claims with [ErrExpired], too.
func (v *CompasVerifier) verify(token string) (CompasClaims, error) {
	if len(token) > MaxTokenBytes {
		return CompasClaims{}, ErrTooLarge
	}
	// As with our own tokens the header is compared before it is read (RFC 8725 §3.1).
	if !isCompact(token) || !LooksLikeCompas(token) {
		return CompasClaims{}, fmt.Errorf("%w: not a token of Compas", ErrInvalid)
	}
	var presented presentedCompas
	_, err := v.parser.ParseWithClaims(token, &presented, func(*jwt.Token) (any, error) { return v.key, nil })
	switch {
	case err == nil:
		return presented.claims, nil
	case isExpiredAlone(err):
		return presented.claims, ErrExpired
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return CompasClaims{}, fmt.Errorf("%w: not signed by Compas", ErrInvalid)
	}
	return CompasClaims{}, fmt.Errorf("%w: claims", ErrInvalid)
}

// presentedCompas is the payload of a token of Compas on its way through
// golang-jwt's parser, with its contents. The only claim among them that the
// library knows is exp, if there is one.
type presentedCompas struct {
	jwt.RegisteredClaims
	wire struct {
		ExpiresAt    *int64 `json:"exp"`
		AccessToken  string `json:"compasSessionAccessToken"`
		RefreshToken string `json:"compasSessionRefreshToken"`
	}
	claims CompasClaims
}

// UnmarshalJSON refuses a duplicate member. Members other than ours are
// ignored, as Compas does.
func (p *presentedCompas) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &p.wire); err != nil {
		return err
	}
	if exp := p.wire.ExpiresAt; exp != nil { // without one, Compas compares with NaN: never expired
		p.ExpiresAt = &jwt.NumericDate{Time: time.Unix(*exp, 0)}
	}
	return nil
}

// Validate checks what golang-jwt does not know.
func (p *presentedCompas) Validate() error {
	c, row := CompasClaims{Type: AccessToken}, p.wire.AccessToken
	if row == "" {
		c.Type, row = RefreshToken, p.wire.RefreshToken
	} else if p.wire.RefreshToken != "" {
		return errors.New("both an access and a refresh token")
	}
	var err error
	if c.TokenID, err = uuid.Parse(row); err != nil {
		return errors.New("no row")
	}
	if exp := p.wire.ExpiresAt; exp != nil {
		if *exp < 0 || *exp > maxCompasSeconds {
			return errors.New("exp")
		}
		c.ExpiresAt = time.Unix(*exp, 0).UTC()
	}
	p.claims = c
	return nil
}
