package tokens

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// Type is the kind of a token, as the typ in its header says.
type Type string

const (
	// AccessToken is the typ of access tokens (RFC 9068 §2.1).
	AccessToken Type = "at+jwt"
	// RefreshToken is the typ of refresh tokens.
	RefreshToken Type = "rt+jwt"
)

// Claims are the contents of a token.
type Claims struct {
	// The fields that each use of a token reads come first: a processor fetches
	// memory in lines of 64 bytes.

	Type Type
	// SessionID is the session that the token belongs to.
	SessionID uuid.UUID
	// IssuedAt and ExpiresAt have a resolution of one second.
	ExpiresAt, IssuedAt time.Time
	// KeyThumbprint is the cnf.jkt of a token that is bound to a key of its client
	// (RFC 9449 §6.1): code that accepts the token must demand proof of that key, or it treats it as a bearer token. It
	// is empty for a token that is not bound.
	KeyThumbprint string

	Issuer string
	// Audience is the resource server for an access token, or several of them in the
	// form of [Audience]; the token endpoint for a refresh token.
	Audience string
	// Subject is the user; empty if the session has none.
	Subject string
	// ClientID is the OAuth client; only access tokens carry it.
	ClientID string
	// TokenID and Generation name the row and the state of the row that the token represents. The larger generation is
	// the newer token.
	TokenID    uuid.UUID
	Generation int64
	// Era counts how often everyone had been signed out when the session began, if an access
	// token says so: see package verifier.
	Era int64
	// KeyID identifies the key that signed the token. Sign ignores it.
	KeyID string
	// Custom are the session's own claims, which an access token carries in addition
	// to ours: a JSON object as [CustomClaims] returns it or, only for Sign, as
	// [JoinClaims] does. It must come from nowhere else. It is empty for none.
	Custom string
	// Context is how the user authenticated, who acts for them and where a browser keeps the
	// tokens, if an access token says so.
	Context
}

// The letter that precedes the generation in a jti: a pair's two tokens belong
// to one row, and no two tokens may share a jti.
var generationPrefix = map[Type]byte{AccessToken: 'a', RefreshToken: 'r'}

// ID returns the claims' jti: the row, the token's kind and its generation.
func (c Claims) ID() string {
	id := make([]byte, 0, len("00000000-0000-0000-0000-000000000000.r")+20)
	return string(appendID(id, c))
}

// Scope is the scope among a session's own claims (RFC 6749 §3.3);
// empty for none.
func (c Claims) Scope() string {
	// Most have none, and then nothing is decoded: the form has only one spelling of a name.
	if !strings.Contains(c.Custom, `"scope":`) {
		return ""
	}
	var own struct {
		Scope string `json:"scope"`
	}
	if c.Decode(&own) != nil {
		return ""
	}
	return own.Scope
}

// Decode puts the session's own claims into v, a pointer, by its fields' json tags. A
// name must be spelled as the member is. Members that v has no field for are ignored.
func (c Claims) Decode(v any) error {
	text := cmp.Or(c.Custom, "{}")
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("tokens: decode the session's own claims: %w", err)
	}
	return nil
}

func appendID(b []byte, c Claims) []byte {
	b = appendUUID(b, c.TokenID)
	b = append(b, '.', generationPrefix[c.Type])
	return strconv.AppendInt(b, c.Generation, 10)
}

func appendUUID(b []byte, id uuid.UUID) []byte {
	b = append(hex.AppendEncode(b, id[:4]), '-')
	b = append(hex.AppendEncode(b, id[4:6]), '-')
	b = append(hex.AppendEncode(b, id[6:8]), '-')
	b = append(hex.AppendEncode(b, id[8:10]), '-')
	return hex.AppendEncode(b, id[10:])
}

// parseID is the inverse of [Claims.ID].
func parseID(jti string, typ Type) (uuid.UUID, int64, error) {
	id, generation, _ := strings.Cut(jti, ".")
	if generation == "" || generation[0] != generationPrefix[typ] {
		return uuid.Nil, 0, errors.New("jti")
	}
	row, err := uuid.Parse(id)
	if err != nil {
		return uuid.Nil, 0, errors.New("jti")
	}
	g, err := strconv.ParseInt(generation[1:], 10, 64)
	if err != nil || g < 0 {
		return uuid.Nil, 0, errors.New("jti")
	}
	return row, g, nil
}

// wireClaims is the JSON form of [Claims].
type wireClaims struct {
	Issuer    string       `json:"iss"`
	Audience  wireAudience `json:"aud"`
	Subject   string       `json:"sub,omitempty"`
	ClientID  string       `json:"client_id,omitempty"`
	ExpiresAt int64        `json:"exp"`
	NotBefore int64        `json:"nbf,omitempty"`
	IssuedAt  int64        `json:"iat"`
	ID        string       `json:"jti"`
	SessionID string       `json:"sid"`

	Confirmation *wireConfirmation `json:"cnf,omitempty"`

	Era int64 `json:"latchkey_era,omitzero"`

	wireContext

	Custom jsontext.Value `json:",embed"`
}

// wireConfirmation is RFC 7800 §3.1. We write no other member.
type wireConfirmation struct {
	Thumbprint string `json:"jkt"`
}

// commonClaims returns the beginning of the claims of all tokens of a type.
// [appendClaims] continues it.
func commonClaims(issuer, audience, clientID string) []byte {
	b := appendString([]byte(`{"iss":`), issuer)
	b = append(b, `,"aud":`...)
	if isAudienceList(audience) {
		b = append(b, audience...)
	} else {
		b = appendString(b, audience)
	}
	if clientID != "" {
		b = appendString(append(b, `,"client_id":`...), clientID)
	}
	return b
}

// appendClaims writes the JSON of [wireClaims]: the same claims always give the
// same bytes.
func appendClaims(b, common []byte, c Claims) []byte {
	b = append(b, common...)
	switch {
	case c.Subject != "":
		b = appendString(append(b, `,"sub":`...), c.Subject)
	case c.Type == AccessToken:
		// RFC 9068 §2.2 requires a sub. A session without a user is its own
		// subject: unique, and it reveals nothing that sid does not.
		b = append(appendUUID(append(b, `,"sub":"`...), c.SessionID), '"')
	}
	b = strconv.AppendInt(append(b, `,"exp":`...), c.ExpiresAt.Unix(), 10)
	b = strconv.AppendInt(append(b, `,"iat":`...), c.IssuedAt.Unix(), 10)
	b = append(appendID(append(b, `,"jti":"`...), c), '"')
	b = append(appendUUID(append(b, `,"sid":"`...), c.SessionID), '"')
	if c.KeyThumbprint != "" {
		b = append(appendString(append(b, `,"cnf":{"jkt":`...), c.KeyThumbprint), '}')
	}
	if c.Type == AccessToken && c.Era != 0 {
		b = strconv.AppendInt(append(b, `,"latchkey_era":`...), c.Era, 10)
	}
	if c.Type == AccessToken && c.Custom != "" {
		return append(append(b, ','), c.Custom[1:]...) // what follows its opening brace
	}
	return append(b, '}')
}

// thumbprintChars is the length of a SHA-256 digest in base64url.
const thumbprintChars = 43

// IsThumbprint reports whether s has the form of a key's SHA-256 thumbprint
// (RFC 7638, RFC 9449 §6.1): 32 bytes in base64url without padding.
func IsThumbprint(s string) bool {
	_, err := decodeSegment(s)
	return err == nil && len(s) == thumbprintChars
}
