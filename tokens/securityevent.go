package tokens

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// securityEvent is the typ of Security Event Tokens (RFC 8417 §2.3). It is not a
// [Type]: nothing here takes such a JWT for a token.
const securityEvent Type = "secevent+jwt"

// SecurityEvent is the content of a Security Event Token (RFC 8417).
type SecurityEvent struct {
	// ID is the token's own, the same each time it is signed.
	ID string
	// IssuedAt is when it is signed.
	IssuedAt time.Time
	// Audience is the intended recipient.
	Audience string
	// Transaction is the same in all tokens about one occurrence.
	Transaction string
	// SubjectID is the person or thing that it is about, as JSON (RFC 9493).
	SubjectID any
	// Type is the URI of what has happened.
	Type string
	// Details are its particulars, as the JSON of an object.
	Details any
}

// wireSecurityEvent has neither sub nor exp, as the Shared Signals Framework requires, so that
// the token is not taken for another one.
type wireSecurityEvent struct {
	Issuer      string         `json:"iss"`
	ID          string         `json:"jti"`
	IssuedAt    int64          `json:"iat"`
	Audience    string         `json:"aud"`
	Transaction string         `json:"txn"`
	SubjectID   any            `json:"sub_id"`
	Events      map[string]any `json:"events"`
}

// SignSecurityEvent returns the Security Event Token, from the signer's issuer. It returns
// [ErrNotPublic] if the signing key is an HMAC key.
func (s *Signer) SignSecurityEvent(e SecurityEvent) ([]byte, error) {
	access := s.kind[AccessToken].use
	if !isPublic(access.method) {
		return nil, ErrNotPublic
	}
	claims, err := json.Marshal(wireSecurityEvent{
		Issuer: s.cfg.Issuer, ID: e.ID, IssuedAt: e.IssuedAt.Unix(), Audience: e.Audience, Transaction: e.Transaction,
		SubjectID: e.SubjectID, Events: map[string]any{e.Type: e.Details},
	})
	if err != nil {
		return nil, fmt.Errorf("tokens: encode a security event: %w", err)
	}
	use := newKeyUse(access.keyID, securityEvent, access.method, access.signWith, access.verifyWith)
	jwt, err := use.sign(claims)
	if err != nil {
		return nil, fmt.Errorf("tokens: sign a security event: %w", err)
	}
	return []byte(jwt), nil
}
