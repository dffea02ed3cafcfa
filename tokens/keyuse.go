package tokens

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
)

// Room for most claims, as JSON and in base64, and for a signature with Ed25519 or
// P-256 and the two dots. Anything longer grows its slice.
const (
	claimsRoom    = 1 << 10
	base64Room    = (claimsRoom*8 + 5) / 6
	signatureRoom = 86 + 2
)

// keyUse is a key in its use for one type of token: every token of that
// type that it signed has exactly this header, byte for byte.
type keyUse struct {
	typ                  Type
	keyID                string
	method               jwt.SigningMethod
	header               string // base64url
	signWith, verifyWith any
}

func newKeyUse(keyID string, typ Type, method jwt.SigningMethod, signWith, verifyWith any) *keyUse {
	if private, isEd25519 := signWith.(ed25519.PrivateKey); isEd25519 {
		signWith = &ed25519Signer{private, private.Public()}
	}
	return &keyUse{
		typ: typ, keyID: keyID, method: method, header: headerOf(keyID, typ, method.Alg()),
		signWith: signWith, verifyWith: verifyWith,
	}
}

// sign returns the compact JWS of claims in JSON (RFC 7515 §7.1). The builder's text
// is signed in place, and the signature appended.
func (u *keyUse) sign(claims []byte) (string, error) {
	var jws strings.Builder
	jws.Grow(len(u.header) + base64.RawURLEncoding.EncodedLen(len(claims)) + signatureRoom)
	jws.WriteString(u.header)
	jws.WriteByte('.')
	jws.Write(base64.RawURLEncoding.AppendEncode(make([]byte, 0, base64Room), claims))
	signature, err := u.method.Sign(jws.String(), u.signWith)
	if err != nil {
		return "", err
	}
	jws.WriteByte('.')
	jws.Write(base64.RawURLEncoding.AppendEncode(make([]byte, 0, signatureRoom), signature))
	return jws.String(), nil
}

// key is the [jwt.Keyfunc] of a token whose header is the use's. It replaces the
// method that the library chose by the token's alg with the key's own.
func (u *keyUse) key(token *jwt.Token) (any, error) {
	token.Method = u.method
	return u.verifyWith, nil
}

// ed25519Signer has its public part at hand, which the library asks for at each signature.
type ed25519Signer struct {
	ed25519.PrivateKey

	public crypto.PublicKey
}

// Public implements [crypto.Signer].
func (s *ed25519Signer) Public() crypto.PublicKey { return s.public }

func headerOf(keyID string, typ Type, algorithm string) string {
	header := appendString([]byte(`{"alg":`), algorithm)
	header = appendString(append(header, `,"kid":`...), keyID)
	header = appendString(append(header, `,"typ":`...), string(typ))
	return base64.RawURLEncoding.EncodeToString(append(header, '}'))
}

// isHeader reports whether a key that the ring does not have could have written the
// header. It decides only whether the ring is updated, and what the
// refusal is called.
func isHeader(segment string) bool {
	text, err := decodeSegment(segment)
	if err != nil {
		return false
	}
	var header struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
		Type      Type   `json:"typ"`
	}
	if json.Unmarshal(text, &header) != nil || header.KeyID == "" || generationPrefix[header.Type] == 0 {
		return false
	}
	_, err = algorithmNamed(header.Algorithm)
	return err == nil && segment == headerOf(header.KeyID, header.Type, header.Algorithm)
}

// refreshMethod signs refresh tokens. Only their issuer verifies them, so a MAC
// does what a signature would, in a hundredth of the time.
var refreshMethod = jwt.SigningMethodHS256
