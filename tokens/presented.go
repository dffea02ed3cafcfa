package tokens

import (
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// presentedClaims are a token's claims on their way through golang-jwt's parser,
// which compares issuer, audience and times with what is expected. Validate
// checks the rest.
type presentedClaims struct {
	wireClaims
	use *keyUse
	cfg *Config
	// Values that the library requests by reference are allocated once, with the claims.
	expiresAt, notBefore, issuedAt jwt.NumericDate
	audience                       [1]string
	audiences                      jwt.ClaimStrings
	// verified is set once the claims have passed every check but those of the time.
	verified *verifiedClaims
}

// digest is the SHA-256 of a token.
type digest [sha256.Size]byte

// verifiedClaims are the claims of a token that is ours.
type verifiedClaims struct {
	digest digest // set by [memory]
	Claims
}

// isExpired is the parser's check of the exp (RFC 7519 §4.1.4).
func (c *verifiedClaims) isExpired(now time.Time, leeway time.Duration) bool {
	return !now.Before(c.ExpiresAt.Add(leeway))
}

// UnmarshalJSON refuses what the library's decoder would accept: a duplicate member, a
// name in another letter case, invalid UTF-8, an aud in a form that we do not write.
func (c *presentedClaims) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &c.wireClaims); err != nil {
		return err
	}
	c.expiresAt.Time = time.Unix(c.ExpiresAt, 0)
	c.notBefore.Time = time.Unix(c.NotBefore, 0)
	c.issuedAt.Time = time.Unix(c.IssuedAt, 0)
	c.audience[0] = string(c.Audience)
	c.audiences = c.audience[:]
	if isAudienceList(c.audience[0]) {
		c.audiences = Audiences(c.audience[0])
	}
	return nil
}

// GetIssuer returns the iss.
func (c *presentedClaims) GetIssuer() (string, error) { return c.Issuer, nil }

// GetSubject returns the sub.
func (c *presentedClaims) GetSubject() (string, error) { return c.Subject, nil }

// GetAudience returns the aud.
func (c *presentedClaims) GetAudience() (jwt.ClaimStrings, error) {
	return c.audiences, nil
}

// GetExpirationTime returns the exp, nil if there is none.
func (c *presentedClaims) GetExpirationTime() (*jwt.NumericDate, error) {
	return orNil(&c.expiresAt, c.ExpiresAt), nil
}

// GetNotBefore returns the nbf, nil if there is none.
func (c *presentedClaims) GetNotBefore() (*jwt.NumericDate, error) {
	return orNil(&c.notBefore, c.NotBefore), nil
}

// GetIssuedAt returns the iat, nil if there is none.
func (c *presentedClaims) GetIssuedAt() (*jwt.NumericDate, error) {
	return orNil(&c.issuedAt, c.IssuedAt), nil
}

func orNil(date *jwt.NumericDate, seconds int64) *jwt.NumericDate {
	if seconds == 0 {
		return nil
	}
	return date
}

// Validate checks what golang-jwt does not know. The parser calls it after its own
// checks, and joins the errors of both.
func (c *presentedClaims) Validate() error {
	clientID := c.ClientID
	if c.use.typ == AccessToken && (c.Subject == "" || clientID == "") {
		return errors.New("sub and client_id are required") // RFC 9068 §2.2
	}
	if clientID == c.cfg.ClientID {
		clientID = c.cfg.ClientID // so that no remembered token keeps a copy
	}
	if len(c.audiences) > 1 && (c.use.typ != AccessToken || slices.Contains(c.audiences, c.cfg.TokenEndpoint)) {
		return errAudience
	}
	audience := string(c.Audience)
	if audience == c.cfg.Audience {
		audience = c.cfg.Audience // nor of the audience
	}
	if c.IssuedAt == 0 {
		return errors.New("iat")
	}
	sid, err := uuid.Parse(c.SessionID)
	if err != nil {
		return errors.New("sid")
	}
	row, generation, err := parseID(c.ID, c.use.typ)
	if err != nil {
		return err
	}
	v := &verifiedClaims{Claims: Claims{
		Type:       c.use.typ,
		Issuer:     c.cfg.Issuer,
		Audience:   audience,
		Subject:    c.Subject,
		ClientID:   clientID,
		SessionID:  sid,
		TokenID:    row,
		Generation: generation,
		IssuedAt:   time.Unix(c.IssuedAt, 0).UTC(),
		ExpiresAt:  time.Unix(c.ExpiresAt, 0).UTC(),
		Era:        c.Era,
		KeyID:      c.use.keyID,
		Custom:     string(c.Custom),
		Context:    c.context(),
	}}
	if c.Confirmation != nil {
		if !IsThumbprint(c.Confirmation.Thumbprint) {
			return errors.New("cnf")
		}
		v.KeyThumbprint = c.Confirmation.Thumbprint
	}
	if v.Subject == c.SessionID {
		v.Subject = ""
	}
	c.verified = v
	return nil
}
