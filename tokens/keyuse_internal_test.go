package tokens

import (
	"errors"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// neverSigns is a method that must only verify.
type neverSigns struct {
	jwt.SigningMethod
	t *testing.T
}

func (n neverSigns) Sign(string, any) ([]byte, error) {
	n.t.Errorf("%s signed what was to be verified", n.Alg())
	return nil, errors.New("this must not sign")
}

// RFC 8725 §2.1: a check that signs what a stranger sent holds the very signature
// that the stranger wants, one slip away from revealing it. A MAC cannot be
// checked in any other way.
func TestNothingIsSignedToVerify(t *testing.T) {
	t.Parallel()
	for _, algorithm := range AlgorithmNames() {
		jwk, _, err := GenerateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		ring, err := ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		cfg := Config{Issuer: "https://id.example.com", Audience: "api", Remember: -1}
		signer, err := NewSigner(ring, cfg)
		if err != nil {
			t.Fatal(err)
		}
		now, signed := time.Now(), map[Type]string{}
		for _, typ := range []Type{AccessToken, RefreshToken} {
			token, err := signer.Sign(Claims{Type: typ, IssuedAt: now, ExpiresAt: now.Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			signed[typ] = string(token)
		}
		for _, use := range ring.uses {
			use.method = neverSigns{use.method, t}
		}
		verifier, err := NewVerifier(ring, cfg)
		if err != nil {
			t.Fatal(err)
		}
		for typ, token := range signed {
			if _, err := verifier.Verify(token, typ); err != nil {
				t.Errorf("%s, %s: %v", algorithm, typ, err)
			}
			if _, err := verifier.Verify(token[:len(token)-4]+"AAAA", typ); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s, %s, forged: %v", algorithm, typ, err)
			}
		}
	}
}

// A key of another type cannot sign with an algorithm's method.
func TestSignWithAKeyOfAnotherType(t *testing.T) {
	t.Parallel()
	for _, a := range algorithms {
		if signature, err := a.method.Sign("x", "no key"); err == nil || signature != nil {
			t.Errorf("%s: %v", a.name(), err)
		}
	}
}

// A method that fails leaves nothing that looks like a token.
func TestSignThatFails(t *testing.T) {
	t.Parallel()
	jwk, _, err := GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := NewSigner(ring, Config{Issuer: "https://id.example.com", Audience: "api"})
	if err != nil {
		t.Fatal(err)
	}
	for _, use := range ring.uses {
		use.method, use.signWith = failing{use.method}, nil
	}
	for name, sign := range map[string]func() (string, error){
		"access":        func() (string, error) { s, err := signer.Sign(Claims{Type: AccessToken}); return string(s), err },
		"refresh":       func() (string, error) { s, err := signer.Sign(Claims{Type: RefreshToken}); return string(s), err },
		"introspection": func() (string, error) { s, err := signer.SignIntrospection("a", []byte("{}")); return string(s), err },
		"event":         func() (string, error) { s, err := signer.SignSecurityEvent(SecurityEvent{}); return string(s), err },
	} {
		if got, err := sign(); got != "" || !errors.Is(err, errFails) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

var errFails = errors.New("it fails")

type failing struct{ jwt.SigningMethod }

func (failing) Sign(string, any) ([]byte, error) { return nil, errFails }

// Nothing is derived from what is no key.
func TestDeriveFromNoKey(t *testing.T) {
	t.Parallel()
	ring := &KeyRing{keys: []*key{{id: "k", private: "no key"}}}
	if secrets, err := ring.DerivedSecrets("x"); err == nil || secrets != nil {
		t.Errorf("secrets: %v", err)
	}
	if fingerprints, err := ring.Fingerprints(); err == nil || fingerprints != nil {
		t.Errorf("fingerprints: %v, %v", fingerprints, err)
	}
	if secret, err := refreshSecret("no key"); err == nil || secret != nil {
		t.Errorf("the secret of refresh tokens: %v", err)
	}
}
