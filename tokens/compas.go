package tokens

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

const (
	// compasHeader is {"alg":"HS256","typ":"JWT"}, as Compas writes it in each token.
	compasHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

	// minCompasKey is how many UTF-16 code units Compas demands of its key.
	minCompasKey = 20

	// maxCompasSeconds is the end of the year 9999: a time after it is no time
	// that RFC 3339 can write.
	maxCompasSeconds = 253_402_300_799
)

// CompasClaims is what a token says that Compas (@compas/store) issued: the row
// of "sessionStoreToken" that it stands for, and no more.
type CompasClaims struct {
	Type    Type
	TokenID uuid.UUID
	// ExpiresAt has a resolution of one second. It is zero for a token that
	// never expires.
	ExpiresAt time.Time
}

// CompasVerifier checks tokens that Compas issued, so that they go on working
// where its sessions were taken over. It may be used by many goroutines.
type CompasVerifier struct {
	key    []byte
	leeway int64 // seconds
	now    func() time.Time
}

// NewCompasVerifier returns a verifier for the tokens of Compas' signingKey. Of
// the configuration it uses the clock and its leeway.
func NewCompasVerifier(signingKey Secret, cfg Config) (*CompasVerifier, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := CheckCompasKey(signingKey); err != nil {
		return nil, err
	}
	return &CompasVerifier{key: []byte(signingKey), leeway: int64(cfg.Leeway / time.Second), now: cfg.Now}, nil
}

// CheckCompasKey refuses a key that Compas would not have taken.
func CheckCompasKey(signingKey Secret) error {
	if len(utf16.Encode([]rune(string(signingKey)))) < minCompasKey {
		return fmt.Errorf("tokens: Compas' signing key has %d characters or more", minCompasKey)
	}
	return nil
}

// LooksLikeCompas tells whether a token has the header of those that Compas
// issued, which none of ours has. It verifies nothing.
func LooksLikeCompas(token string) bool { return strings.HasPrefix(token, compasHeader+".") }

// compasWire is the payload of a token of Compas. Other members are ignored, as
// Compas does.
type compasWire struct {
	ExpiresAt    *int64 `json:"exp"`
	AccessToken  string `json:"compasSessionAccessToken"`
	RefreshToken string `json:"compasSessionRefreshToken"`
}

// Verify returns the claims of a token of the wanted type. Every error is an
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
	fail := func(what string) (CompasClaims, error) {
		return CompasClaims{}, fmt.Errorf("%w: %s", ErrInvalid, what)
	}
	if len(token) > MaxTokenBytes {
		return CompasClaims{}, ErrTooLarge
	}
	// As with our own tokens the header is compared and never read (RFC 8725 §3.1).
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, found := strings.Cut(rest, ".")
	if header != compasHeader || !found {
		return fail("not a token of Compas")
	}
	mac, err := decodeSegment(signature)
	if err != nil || !verifyHS256(v.key, []byte(token[:len(header)+1+len(payload)]), mac) {
		return fail("not signed by Compas")
	}
	var wire compasWire
	claims, err := decodeSegment(payload)
	if err != nil || json.Unmarshal(claims, &wire) != nil {
		return fail("claims")
	}
	c := CompasClaims{Type: AccessToken}
	row := wire.AccessToken
	if row == "" {
		c.Type, row = RefreshToken, wire.RefreshToken
	} else if wire.RefreshToken != "" {
		return fail("claims")
	}
	if c.TokenID, err = uuid.Parse(row); err != nil {
		return fail("claims")
	}
	if wire.ExpiresAt == nil {
		return c, nil // Compas compares with NaN then: never expired
	}
	exp := *wire.ExpiresAt
	switch {
	case exp < 0 || exp > maxCompasSeconds:
		return fail("exp")
	case v.now().Unix() >= exp+v.leeway:
		return CompasClaims{Type: c.Type}, ErrExpired
	}
	c.ExpiresAt = time.Unix(exp, 0).UTC()
	return c, nil
}
