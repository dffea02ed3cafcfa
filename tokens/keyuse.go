package tokens

import (
	"crypto/subtle"
	"encoding/base64"

	"github.com/go-json-experiment/json"
)

// keyUse is a key as it is used for one type of token: a token of that type
// that it signed has this header, to the byte, and no other.
type keyUse struct {
	typ                  Type
	keyID                string
	algorithm            algorithm
	header               string // base64url
	signWith, verifyWith any
}

func newKeyUse(keyID string, typ Type, a algorithm, signWith, verifyWith any) *keyUse {
	return &keyUse{
		typ: typ, keyID: keyID, algorithm: a, header: headerOf(keyID, typ, a.name),
		signWith: signWith, verifyWith: verifyWith,
	}
}

// verify tells whether the key has signed the message. An Ed25519 signature is
// determined by key and message (RFC 8032 §5.1.6): where the private key is, it is
// compared with what that would have signed, in less than half of the time that
// the public key takes, and as a MAC would be, in a time that tells nothing.
func (u *keyUse) verify(message, signature []byte) bool {
	if u.algorithm.signAgain && u.signWith != nil {
		again, err := u.algorithm.sign(u.signWith, message)
		return err == nil && subtle.ConstantTimeCompare(again, signature) == 1
	}
	return u.algorithm.verify(u.verifyWith, message, signature)
}

func headerOf(keyID string, typ Type, algorithm string) string {
	header := appendString([]byte(`{"alg":`), algorithm)
	header = appendString(append(header, `,"kid":`...), keyID)
	header = appendString(append(header, `,"typ":`...), string(typ))
	return base64.RawURLEncoding.EncodeToString(append(header, '}'))
}

// isHeader tells whether a key that the ring does not have could have written the
// header. It decides nothing but whether the ring is brought up to date.
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

// refreshAlgorithm signs refresh tokens. Nobody but their issuer verifies them,
// so a MAC does what a signature would, for a hundredth of its time.
var refreshAlgorithm = algorithm{name: "HS256", sign: signs(signHS256), verify: verifies(verifyHS256)}

// refreshSecret derives the key of refresh tokens from a private key (RFC 5869):
// one key file serves for both, and neither key tells the other.
func refreshSecret(private any) ([]byte, error) {
	return derive(private, "latchkey refresh tokens")
}
