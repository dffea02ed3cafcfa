package tokens

import (
	"errors"
	"fmt"
	"strconv"
)

// introspectionAnswer is the typ of signed introspection responses (RFC 9701
// §5). It is not a [Type]: nothing here takes such a JWT for a token.
const introspectionAnswer Type = "token-introspection+jwt"

// ErrNotPublic says that the ring's signing key is an HMAC key, whose signatures no other party can verify.
var ErrNotPublic = errors.New("the signing key has no public part")

// SignIntrospection returns the signed introspection response (RFC 9701 §5): a JWT
// for the caller, with the response's JSON as its claim token_introspection. It
// says who signed it and when; as the RFC requires, it has neither its own sub nor exp, so that it is not taken for a
// token. It returns [ErrNotPublic] if the signing key is an HMAC key.
func (s *Signer) SignIntrospection(caller string, answer []byte) ([]byte, error) {
	access := s.kind[AccessToken].use
	if !isPublic(access.method) {
		return nil, ErrNotPublic
	}
	use := newKeyUse(access.keyID, introspectionAnswer, access.method, access.signWith, access.verifyWith)
	claims := appendString([]byte(`{"iss":`), s.cfg.Issuer)
	claims = appendString(append(claims, `,"aud":`...), caller)
	claims = strconv.AppendInt(append(claims, `,"iat":`...), s.cfg.Now().Unix(), 10)
	claims = append(append(append(claims, `,"token_introspection":`...), answer...), '}')
	jwt, err := use.sign(claims)
	if err != nil {
		return nil, fmt.Errorf("tokens: sign an introspection: %w", err)
	}
	return []byte(jwt), nil
}
