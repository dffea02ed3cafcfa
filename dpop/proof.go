package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
)

const (
	// MaxProofBytes is the length above which a proof is refused before
	// any of it is parsed. One with an RSA key of 4096 bits has about 2000 bytes.
	MaxProofBytes = 4096

	proofType      = "dpop+jwt" // RFC 9449 §4.2
	maxIDBytes     = 256
	minRSABits     = 2048 // RFC 7518 §3.3
	maxRSABits     = 4096 // what a signature costs to check must stay bounded
	algorithmNames = "EdDSA Ed25519 ES256 RS256 PS256"

	// fullEd25519 is EdDSA with the only curve used here, as RFC 9864 §2.2 names it.
	fullEd25519 = jose.SignatureAlgorithm("Ed25519")
)

// Algorithms lists the JWS algorithms of proofs (dpop_signing_alg_values_supported
// of RFC 9449 §5.1). None of them is symmetric.
func Algorithms() []string { return strings.Fields(algorithmNames) }

var joseAlgorithms = []jose.SignatureAlgorithm{jose.EdDSA, fullEd25519, jose.ES256, jose.RS256, jose.PS256}

// claims are the claims of a proof (RFC 9449 §4.2).
type claims struct {
	ID        string   `json:"jti"`
	Method    string   `json:"htm"`
	URL       string   `json:"htu"`
	IssuedAt  *float64 `json:"iat"`
	TokenHash string   `json:"ath"`
	Nonce     string   `json:"nonce"`
	ExpiresAt *float64 `json:"exp"`
	NotBefore *float64 `json:"nbf"`
}

type parsedProof struct {
	thumbprint string
	claims     claims
}

// parse checks what does not depend on the request: RFC 9449 §4.3, checks 2 to 7.
func parse(proof string) (parsedProof, error) {
	fail := func(what string) (parsedProof, error) { return parsedProof{}, invalid(what) }
	if proof == "" || len(proof) > MaxProofBytes {
		return fail("length")
	}
	if strings.ContainsAny(proof, "\r\n") { // the decoder would skip them
		return fail("not a compact JWS")
	}
	// go-jose refuses every algorithm but these, a critical header, and an
	// embedded key with a private part. Its error texts are not passed on: they
	// may quote the proof.
	jws, err := jose.ParseSignedCompact(proof, joseAlgorithms)
	if err != nil || len(jws.Signatures) != 1 {
		return fail("not a compact JWS of an algorithm that is supported, with a public key")
	}
	header := jws.Signatures[0].Protected
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); !isProofType(typ) {
		return fail("typ")
	}
	jwk := header.JSONWebKey
	if jwk == nil || !fits(jwk.Key, jose.SignatureAlgorithm(header.Algorithm)) {
		return fail("jwk")
	}
	// The algorithm was pinned to the type of the key above (RFC 8725 §3.1).
	payload, isGood := verifySignature(proof, jws, jwk.Key)
	if !isGood {
		return fail("signature")
	}
	// This decoder refuses duplicate members, and invalid UTF-8.
	var c claims
	if json.Unmarshal(payload, &c) != nil {
		return fail("claims")
	}
	if c.ID == "" || len(c.ID) > maxIDBytes {
		return fail("jti")
	}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return fail("jwk")
	}
	return parsedProof{base64.RawURLEncoding.EncodeToString(thumbprint), c}, nil
}

// verifySignature returns the payload that was signed. go-jose does not know the name
// [fullEd25519]: it only split such a proof into its parts, without looking for
// critical headers (RFC 7515 §4.1.11).
func verifySignature(proof string, jws *jose.JSONWebSignature, key any) (payload []byte, isGood bool) {
	signature := jws.Signatures[0]
	public, isEd25519 := key.(ed25519.PublicKey)
	if jose.SignatureAlgorithm(signature.Protected.Algorithm) != fullEd25519 || !isEd25519 {
		payload, err := jws.Verify(key)
		return payload, err == nil
	}
	for _, name := range []jose.HeaderKey{"crit", "b64"} {
		if _, has := signature.Protected.ExtraHeaders[name]; has {
			return nil, false
		}
	}
	signed := proof[:strings.LastIndexByte(proof, '.')]
	return jws.UnsafePayloadWithoutVerification(), ed25519.Verify(public, []byte(signed), signature.Signature)
}

// isProofType compares a media type: RFC 7515 §4.1.9, RFC 2045 §5.1.
func isProofType(typ string) bool {
	typ = strings.ToLower(typ)
	return typ == proofType || typ == "application/"+proofType
}

// fits reports whether a public key is of the algorithm's type and strong enough.
// Decoding the key already checked that points lie on their curve.
func fits(key any, algorithm jose.SignatureAlgorithm) bool {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return algorithm == jose.EdDSA || algorithm == fullEd25519
	case *ecdsa.PublicKey:
		return algorithm == jose.ES256 && k.Curve == elliptic.P256()
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		return slices.Contains([]jose.SignatureAlgorithm{jose.RS256, jose.PS256}, algorithm) && bits >= minRSABits && bits <= maxRSABits
	}
	return false
}
