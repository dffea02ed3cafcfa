package tokens

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

const (
	maxKeyIDBytes = 128

	// fullEd25519 is another name of EdDSA for the keys here (RFC 9864 §2.2). Tokens and
	// published keys use the old name, which more libraries know.
	fullEd25519 = "Ed25519"
)

// KeyRing holds the keys that tokens are signed and verified with. It is immutable, and safe for
// concurrent use.
type KeyRing struct {
	keys    []*key
	uses    map[string]*keyUse // by the exact header of the tokens that each use signs
	signing *key               // the first that can sign; nil in a ring that only verifies
	public  []byte
}

// key is one key with the only algorithm that it may be used for.
type key struct {
	id        string
	algorithm algorithm
	private   any // nil where only the public part is known
	public    any
	access    *keyUse
	refresh   *keyUse // nil where only the public part is known
}

// KeyInfo describes a key of a ring without its secret parts.
type KeyInfo struct {
	ID        string `json:"kid"`
	Algorithm string `json:"alg"`
	// Signs is true of the one key that signs new tokens.
	Signs bool `json:"signs"`
}

// ParseKeyRing reads a JWK set (RFC 7517 §5). Every key needs an alg of
// [AlgorithmNames], or Ed25519 for EdDSA, and a kid that no other key has; public keys only verify.
// The first key with a private part signs. Weak and malformed keys are refused
// (RFC 8725 §3.4, §3.5); no error shows a part of a key.
func ParseKeyRing(jwks []byte) (*KeyRing, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, errors.New(`not a JWK set: a JSON object {"keys":[…]} is wanted`)
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("the JWK set has no keys")
	}
	ring := &KeyRing{uses: map[string]*keyUse{}}
	taken := make(map[string]bool, len(set.Keys))
	public := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for i, raw := range set.Keys {
		k, err := parseKey(raw)
		if err != nil {
			return nil, fmt.Errorf("key %d of the JWK set: %w", i+1, err)
		}
		if taken[k.id] {
			return nil, fmt.Errorf("key %d of the JWK set: kid %q is taken by an earlier key", i+1, k.id)
		}
		taken[k.id] = true
		ring.keys = append(ring.keys, k)
		ring.uses[k.access.header] = k.access
		if k.refresh != nil {
			ring.uses[k.refresh.header] = k.refresh
		}
		if ring.signing == nil && k.private != nil {
			ring.signing = k
		}
		if isPublic(k.algorithm.method) {
			public.Keys = append(public.Keys, jose.JSONWebKey{
				Key: k.public, KeyID: k.id, Algorithm: k.algorithm.name(), Use: "sig",
			})
		}
	}
	var err error
	if ring.public, err = json.Marshal(public); err != nil {
		return nil, fmt.Errorf("encode the public keys: %w", err)
	}
	return ring, nil
}

func parseKey(raw json.RawMessage) (*key, error) {
	var jwk jose.JSONWebKey
	// go-jose checks that points lie on their curve and that the parts of a
	// key belong together. Its message is not passed on: it may quote input.
	if err := jwk.UnmarshalJSON(raw); err != nil || !jwk.Valid() && !isSymmetric(jwk.Key) {
		return nil, errors.New("not a valid JWK of type OKP (Ed25519), EC (P-256), RSA or oct")
	}
	if jwk.Use != "" && jwk.Use != "sig" {
		return nil, errors.New(`use is not "sig"`)
	}
	if jwk.KeyID == "" || len(jwk.KeyID) > maxKeyIDBytes {
		return nil, fmt.Errorf("a kid of 1 to %d bytes is wanted", maxKeyIDBytes)
	}
	if jwk.Algorithm == fullEd25519 {
		jwk.Algorithm = jwt.SigningMethodEdDSA.Alg()
	}
	a, err := algorithmNamed(jwk.Algorithm)
	if err != nil {
		return nil, fmt.Errorf("alg: %w", err)
	}
	private, public, err := a.split(jwk.Key)
	if err != nil {
		return nil, fmt.Errorf("alg %s: %w", a.name(), err)
	}
	k := &key{id: jwk.KeyID, algorithm: a, private: private, public: public}
	k.access = newKeyUse(k.id, AccessToken, a.method, private, public)
	if private != nil {
		secret, err := refreshSecret(private)
		if err != nil {
			return nil, err
		}
		k.refresh = newKeyUse(k.id, RefreshToken, refreshMethod, secret, secret)
	}
	return k, nil
}

// isSymmetric covers what jose.JSONWebKey.Valid does not know.
func isSymmetric(key any) bool {
	_, ok := key.([]byte)
	return ok
}

// PublicJWKS returns the public keys as a JWK set. HMAC keys have no public
// part: if there are no others, the set is empty.
func (r *KeyRing) PublicJWKS() []byte { return append([]byte(nil), r.public...) }

// Keys lists the keys in the set's order.
func (r *KeyRing) Keys() []KeyInfo {
	infos := make([]KeyInfo, len(r.keys))
	for i, k := range r.keys {
		infos[i] = KeyInfo{ID: k.id, Algorithm: k.algorithm.name(), Signs: k == r.signing}
	}
	return infos
}

// DerivedSecrets derives a secret of 32 bytes (RFC 5869) from each key with a private part; the signing
// key's comes first, as it is the first key with one. The same keys give the same secrets, which reveal
// nothing about the keys, nor about a secret with another purpose.
func (r *KeyRing) DerivedSecrets(purpose string) ([][]byte, error) {
	var secrets [][]byte
	for _, k := range r.keys {
		if k.private == nil {
			continue
		}
		secret, err := derive(k.private, "latchkey derived "+purpose)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// Fingerprints returns, by the ids of the keys that can sign, a value that
// distinguishes each from any other key with the same id. It is derived as the secret
// of refresh tokens is, and reveals nothing about either.
func (r *KeyRing) Fingerprints() (map[string]string, error) {
	fingerprints := make(map[string]string, len(r.keys))
	for _, k := range r.keys {
		if k.private == nil {
			continue
		}
		text, err := fingerprint(k.private)
		if err != nil {
			return nil, err
		}
		fingerprints[k.id] = text
	}
	return fingerprints, nil
}
