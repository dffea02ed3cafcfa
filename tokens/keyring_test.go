package tokens_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// resign signs a header and claims with the kit's own key, as only its holder can; those of a
// refresh token with the secret that comes from the key.
func (k kit) resign(t *testing.T, header, body map[string]any) string {
	t.Helper()
	return k.attach(t, encode(t, header)+"."+encode(t, body))
}

// attach returns the input with the signature of the kit's own key.
func (k kit) attach(t *testing.T, input string) string {
	t.Helper()
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON([]byte(k.jwk)); err != nil {
		t.Fatal(err)
	}
	header, _, _ := strings.Cut(input, ".")
	if text, err := base64.RawURLEncoding.DecodeString(header); err == nil && bytes.Contains(text, []byte(`"typ":"rt+jwt"`)) {
		jwk.Key = refreshSecret(t, jwk.Key)
	}
	var signature []byte
	switch key := jwk.Key.(type) {
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(input))
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		signature = mac.Sum(nil)
	default:
		t.Fatalf("resign does not know %T", key)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// refreshSecret derives the secret of refresh tokens (RFC 5869). Releases must agree on it: each
// accepts what the other has issued.
func refreshSecret(t *testing.T, key any) []byte {
	t.Helper()
	private, isSymmetric := key.([]byte)
	if !isSymmetric {
		var err error
		if private, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			t.Fatal(err)
		}
	}
	secret, err := hkdf.Key(sha256.New, private, nil, "latchkey refresh tokens", 32)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// RFC 8725 §3.4, §3.5; RFC 7518 §3.2.
func TestWeakAndMalformedKeysAreRefused(t *testing.T) {
	t.Parallel()
	weakRSA, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk := func(key any, alg string) string {
		out, err := jose.JSONWebKey{Key: key, KeyID: "k", Algorithm: alg}.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	good, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	change := func(member string, value any) string {
		var m map[string]any
		if err := json.Unmarshal([]byte(good), &m); err != nil {
			t.Fatal(err)
		}
		if m[member] = value; value == nil {
			delete(m, member)
		}
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	zero := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	for name, test := range map[string]struct{ key, says string }{
		"weak RSA":             {jwk(weakRSA, "RS256"), "1024 bits, it must have 2048"},
		"weak RSA public":      {jwk(&weakRSA.PublicKey, "PS256"), "1024 bits, it must have 2048"},
		"RSA exponent of zero": {`{"kty":"RSA","kid":"k","alg":"RS256","n":"` + base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 256)) + `","e":"AA"}`, "not a valid JWK"},
		"short HMAC":           {jwk(make([]byte, 31), "HS256"), "31 bytes, it must have 32"},
		"wrong curve":          {jwk(p384, "ES256"), "on the curve P-256 is wanted"},
		"wrong curve, public":  {jwk(&p384.PublicKey, "ES256"), "on the curve P-256 is wanted"},
		"point off the curve":  {`{"kty":"EC","crv":"P-256","kid":"k","alg":"ES256","x":"` + zero + `","y":"` + zero + `"}`, "not a valid JWK"},
		"Ed25519 identity":     {`{"kty":"OKP","crv":"Ed25519","kid":"k","alg":"EdDSA","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`, "not a valid JWK"},
		"parts do not match":   {change("x", zero), "not a valid JWK"},
		"key of another alg":   {change("alg", "HS256"), "oct"},
		"alg none":             {change("alg", "none"), `"none" is not one of EdDSA, ES256, RS256, PS256, HS256`},
		"no alg":               {change("alg", nil), `"" is not one of`},
		"no kid":               {change("kid", nil), "kid"},
		"long kid":             {change("kid", strings.Repeat("k", 129)), "kid"},
		"an encryption key":    {change("use", "enc"), "use"},
		"no key at all":        {`{}`, "not a valid JWK"},
		"not even an object":   {`"x"`, "not a valid JWK"},
		"the same kid twice":   {string(good) + "," + string(good), "key 2 of the JWK set: kid"},
		"no keys":              {``, "no keys"},
		"an unfinished object": {`{`, "not a JWK set"},
	} {
		_, err := tokens.ParseKeyRing([]byte(`{"keys":[` + test.key + `]}`))
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: the error is %v", name, err)
		}
		var secret struct {
			D string `json:"d"`
		}
		if err != nil && json.Unmarshal([]byte(good), &secret) == nil && strings.Contains(err.Error(), secret.D) {
			t.Errorf("%s: the error shows the private key", name)
		}
	}
}

// RFC 8725 §3.1: an algorithm goes with one type of key, and with no other.
func TestKeyOfAnotherAlgorithm(t *testing.T) {
	t.Parallel()
	wanted := map[string]string{
		"EdDSA": "an Ed25519 key is wanted", "ES256": "an EC key on the curve P-256 is wanted", "RS256": "an RSA key is wanted",
		"PS256": "an RSA key is wanted", "HS256": "a symmetric (oct) key is wanted",
	}
	for _, own := range tokens.AlgorithmNames() {
		k := setup(t, own)
		for _, said := range tokens.AlgorithmNames() {
			for kind, jwk := range map[string]string{"private": k.jwk, "public": strings.TrimSuffix(strings.TrimPrefix(string(k.ring.PublicJWKS()), `{"keys":[`), "]}")} {
				if jwk == "" {
					continue // HMAC keys have no public part
				}
				_, err := tokens.ParseKeyRing([]byte(`{"keys":[` + strings.Replace(jwk, `"alg":"`+own+`"`, `"alg":"`+said+`"`, 1) + `]}`))
				isFine := wanted[own] == wanted[said]
				if isFine && err != nil || !isFine && (err == nil || !strings.HasSuffix(err.Error(), "alg "+said+": "+wanted[said])) {
					t.Errorf("a %s key of %s as %s: %v", kind, own, said, err)
				}
			}
		}
	}
}

func TestPublicJWKSHoldsNoSecret(t *testing.T) {
	t.Parallel()
	var keys []string
	want := []tokens.KeyInfo{}
	for i, algorithm := range tokens.AlgorithmNames() {
		jwk, id, err := tokens.GenerateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, string(jwk))
		want = append(want, tokens.KeyInfo{ID: id, Algorithm: algorithm, Signs: i == 0})
	}
	k := kitFor(t, config(), keys...)
	if diff := cmp.Diff(want, k.ring.Keys()); diff != "" {
		t.Error(diff)
	}
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(k.ring.PublicJWKS(), &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Keys) != 4 {
		t.Errorf("%d public keys, want 4: all but the HMAC key", len(set.Keys))
	}
	for _, key := range set.Keys {
		for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, has := key[member]; has {
				t.Errorf("the public %s key has %q", key["alg"], member)
			}
		}
		if key["use"] != "sig" || key["kid"] == "" {
			t.Errorf("key %v", key)
		}
	}
	hmacOnly := setup(t, "HS256")
	if got := string(hmacOnly.ring.PublicJWKS()); got != `{"keys":[]}` {
		t.Errorf("the public part of an HMAC key is %s", got)
	}
}

func TestRingVerifiesWithAllKeysAndSignsWithTheFirst(t *testing.T) {
	t.Parallel()
	old := setup(t, "EdDSA")
	token := old.sign(t, claims(tokens.AccessToken))
	fresh, freshID, err := tokens.GenerateKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	set, err := tokens.AppendKey("", tokens.Secret(old.jwk))
	if err != nil {
		t.Fatal(err)
	}
	if set, err = tokens.PrependKey(set, fresh); err != nil {
		t.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(set))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := tokens.NewVerifier(ring, config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(token, tokens.AccessToken); err != nil {
		t.Errorf("a token of the earlier key: %v", err)
	}
	signer, err := tokens.NewSigner(ring, config())
	if err != nil {
		t.Fatal(err)
	}
	next, err := signer.Sign(claims(tokens.AccessToken))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := verifier.Verify(string(next), tokens.AccessToken); err != nil || got.KeyID != freshID {
		t.Errorf("signed by %q, want %q (%v)", got.KeyID, freshID, err)
	}
	if _, err := tokens.AppendKey(set, fresh); err == nil {
		t.Error("the same key was added twice")
	}
}

func TestPublicRingVerifiesAndCannotSign(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	public, err := tokens.ParseKeyRing(k.ring.PublicJWKS())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.NewSigner(public, config()); err == nil {
		t.Error("a public key signs")
	}
	verifier, err := tokens.NewVerifier(public, config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(k.sign(t, claims(tokens.AccessToken)), tokens.AccessToken); err != nil {
		t.Error(err)
	}
}

func FuzzParseKeyRing(f *testing.F) {
	for _, algorithm := range tokens.AlgorithmNames() {
		jwk, _, err := tokens.GenerateKey(algorithm)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(`{"keys":[` + string(jwk) + `]}`))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ring, err := tokens.ParseKeyRing(data)
		if err != nil {
			return
		}
		if _, err := tokens.ParseKeyRing(ring.PublicJWKS()); err != nil && string(ring.PublicJWKS()) != `{"keys":[]}` {
			t.Errorf("the public part of an accepted ring is refused: %v", err)
		}
	})
}

// RFC 9864 §2.2 has another name for EdDSA with Ed25519. Keys with it make the
// same tokens.
func TestKeyWithTheFullNameOfEd25519(t *testing.T) {
	t.Parallel()
	const key = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"rfc8037","alg":"%s","use":"sig",
		"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
	var rings [2]*tokens.KeyRing
	for i, name := range []string{"EdDSA", "Ed25519"} {
		var err error
		if rings[i], err = tokens.ParseKeyRing(fmt.Appendf(nil, key, name)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(rings[0].Keys(), rings[1].Keys()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(string(rings[0].PublicJWKS()), string(rings[1].PublicJWKS())); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"ed25519", "Ed448"} {
		if _, err := tokens.ParseKeyRing(fmt.Appendf(nil, key, name)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
