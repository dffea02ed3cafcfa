package tokens

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Type is the kind of a token, as its header's typ says.
type Type string

const (
	// AccessToken is the typ of access tokens (RFC 9068 §2.1).
	AccessToken Type = "at+jwt"
	// RefreshToken is the typ of refresh tokens.
	RefreshToken Type = "rt+jwt"
)

// Claims is what a token says.
type Claims struct {
	Type   Type
	Issuer string
	// Audience is the resource server for an access token, the token endpoint
	// for a refresh token.
	Audience string
	// Subject is the user; empty where the session has none. Only access
	// tokens carry it.
	Subject string
	// ClientID is the OAuth client; only access tokens carry it.
	ClientID string
	// SessionID is the session that the token belongs to.
	SessionID uuid.UUID
	// TokenID and Generation name the row and the state of the row that the
	// token stands for. The larger generation is the newer token.
	TokenID    uuid.UUID
	Generation int64
	// IssuedAt and ExpiresAt have a resolution of one second.
	IssuedAt, ExpiresAt time.Time
	// KeyID is the key that signed the token. Sign ignores it.
	KeyID string
}

// ID returns the claims' jti: the row and its generation.
func (c Claims) ID() string {
	return c.TokenID.String() + "." + strconv.FormatInt(c.Generation, 10)
}

// parseID is the inverse of [Claims.ID].
func parseID(jti string) (uuid.UUID, int64, error) {
	id, generation, found := strings.Cut(jti, ".")
	if !found {
		return uuid.Nil, 0, fmt.Errorf("%w: jti", ErrInvalid)
	}
	row, err := uuid.Parse(id)
	if err != nil {
		return uuid.Nil, 0, fmt.Errorf("%w: jti", ErrInvalid)
	}
	g, err := strconv.ParseInt(generation, 10, 64)
	if err != nil || g < 0 {
		return uuid.Nil, 0, fmt.Errorf("%w: jti", ErrInvalid)
	}
	return row, g, nil
}

// wireClaims is the JSON form of [Claims]. The aud of our tokens is always a
// single string (RFC 7519 §4.1.3 allows it), so a list is not ours.
type wireClaims struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	Subject   string `json:"sub,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	ExpiresAt int64  `json:"exp"`
	NotBefore int64  `json:"nbf,omitempty"`
	IssuedAt  int64  `json:"iat"`
	ID        string `json:"jti"`
	SessionID string `json:"sid"`
}

func toWire(c Claims) wireClaims {
	w := wireClaims{
		Issuer:    c.Issuer,
		Audience:  c.Audience,
		Subject:   c.Subject,
		ClientID:  c.ClientID,
		ExpiresAt: c.ExpiresAt.Unix(),
		IssuedAt:  c.IssuedAt.Unix(),
		ID:        c.ID(),
		SessionID: c.SessionID.String(),
	}
	if c.Type == AccessToken && c.Subject == "" {
		// RFC 9068 §2.2 requires a sub. A session without a user is its own
		// subject: unique, and it tells nothing that sid does not.
		w.Subject = w.SessionID
	}
	return w
}

func fromWire(w *wireClaims, typ Type, keyID string) (Claims, error) {
	sid, err := uuid.Parse(w.SessionID)
	if err != nil {
		return Claims{}, fmt.Errorf("%w: sid", ErrInvalid)
	}
	row, generation, err := parseID(w.ID)
	if err != nil {
		return Claims{}, err
	}
	if typ == AccessToken && (w.Subject == "" || w.ClientID == "") {
		return Claims{}, fmt.Errorf("%w: sub and client_id are required", ErrInvalid)
	}
	c := Claims{
		Type:       typ,
		Issuer:     w.Issuer,
		Audience:   w.Audience,
		Subject:    w.Subject,
		ClientID:   w.ClientID,
		SessionID:  sid,
		TokenID:    row,
		Generation: generation,
		IssuedAt:   time.Unix(w.IssuedAt, 0).UTC(),
		ExpiresAt:  time.Unix(w.ExpiresAt, 0).UTC(),
		KeyID:      keyID,
	}
	if c.Subject == w.SessionID {
		c.Subject = ""
	}
	return c, nil
}

// The methods below are what the claims validator of golang-jwt asks for.

func numericDate(seconds int64) *jwt.NumericDate {
	if seconds == 0 {
		return nil
	}
	return jwt.NewNumericDate(time.Unix(seconds, 0))
}

// GetExpirationTime implements jwt.Claims.
func (w *wireClaims) GetExpirationTime() (*jwt.NumericDate, error) {
	return numericDate(w.ExpiresAt), nil
}

// GetIssuedAt implements jwt.Claims.
func (w *wireClaims) GetIssuedAt() (*jwt.NumericDate, error) { return numericDate(w.IssuedAt), nil }

// GetNotBefore implements jwt.Claims.
func (w *wireClaims) GetNotBefore() (*jwt.NumericDate, error) { return numericDate(w.NotBefore), nil }

// GetIssuer implements jwt.Claims.
func (w *wireClaims) GetIssuer() (string, error) { return w.Issuer, nil }

// GetSubject implements jwt.Claims.
func (w *wireClaims) GetSubject() (string, error) { return w.Subject, nil }

// GetAudience implements jwt.Claims.
func (w *wireClaims) GetAudience() (jwt.ClaimStrings, error) {
	return jwt.ClaimStrings{w.Audience}, nil
}
