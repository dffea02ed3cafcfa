package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"encoding/asn1"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// deterministicES256 signs as RFC 6979 says: the same claims give the same token
// to the byte, as with Ed25519, and no signature depends on a source of
// randomness. The library's own ES256 signs with random numbers; to a verifier
// the two are the same.
type deterministicES256 struct{ *jwt.SigningMethodECDSA }

// Sign implements [jwt.SigningMethod].
func (m deterministicES256) Sign(signingString string, key any) ([]byte, error) {
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, jwt.ErrInvalidKeyType
	}
	hash := m.Hash.New()
	hash.Write([]byte(signingString))
	der, err := private.Sign(nil, hash.Sum(nil), crypto.SHA256) // nil: RFC 6979
	if err != nil {
		return nil, err
	}
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &signature); err != nil {
		return nil, err
	}
	joined := make([]byte, 2*m.KeySize) // RFC 7518 §3.4
	signature.R.FillBytes(joined[:m.KeySize])
	signature.S.FillBytes(joined[m.KeySize:])
	return joined, nil
}
