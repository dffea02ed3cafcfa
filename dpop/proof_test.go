package dpop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/dpop"
)

func hmacOf(key []byte, input string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(input))
	return mac.Sum(nil)
}

var want = dpop.Request{Method: "GET", URL: base + "/cart", AccessToken: token}

func TestGoodProofs(t *testing.T) {
	t.Parallel()
	for algorithm, key := range map[jose.SignatureAlgorithm]any{
		jose.EdDSA: ed(t), "Ed25519": ed(t), jose.ES256: p256(t), jose.RS256: rsaKey(t, 2048), jose.PS256: rsaKey(t, 2048),
	} {
		proof, err := checker(t).Check(good(t, key, algorithm).sign(t), want)
		if err != nil || proof.Thumbprint != thumbprint(t, key) {
			t.Errorf("%s: %v, thumbprint %q", algorithm, err, proof.Thumbprint)
		}
	}
}

// RFC 9864 §2.2 has another name for EdDSA with Ed25519; nothing else about such a proof is different.
func TestProofWithTheFullNameOfEd25519(t *testing.T) {
	t.Parallel()
	key := ed(t)
	for name, change := range map[string]func(*spec){
		"signed by another key": func(s *spec) { s.key = ed(t) },
		"crit":                  func(s *spec) { s.header["crit"], s.header["exp"] = []string{"exp"}, 1 },
		"crit of b64":           func(s *spec) { s.header["crit"], s.header["b64"] = []string{"b64"}, false },
		"b64":                   func(s *spec) { s.header["b64"] = false },
		"in lower case":         func(s *spec) { s.header["alg"] = "ed25519" },
		"Ed448":                 func(s *spec) { s.header["alg"] = "Ed448" },
		"an EC key":             func(s *spec) { s.key = p256(t); s.header["jwk"] = jose.JSONWebKey{Key: public(s.key)} },
		"weak key": func(s *spec) {
			s.header["jwk"] = map[string]string{"kty": "OKP", "crv": "Ed25519", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}
		},
	} {
		s := good(t, key, "Ed25519")
		change(&s)
		if _, err := checker(t).Check(s.sign(t), want); !errors.Is(err, dpop.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	proof := good(t, key, "Ed25519").sign(t)
	parts := strings.Split(proof, ".")
	payload := strings.Split(good(t, key, "Ed25519").sign(t), ".")[1]
	for name, text := range map[string]string{
		"another payload": parts[0] + "." + payload + "." + parts[2], "no signature": parts[0] + "." + parts[1] + ".", "half a signature": proof[:len(proof)-20],
	} {
		if _, err := checker(t).Check(text, want); !errors.Is(err, dpop.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The example of RFC 9449 §4.1 and §5, figure 1, with the time of its iat.
func TestProofOfTheRFC(t *testing.T) {
	t.Parallel()
	const proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR" +
		"nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj" +
		"oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg" +
		"4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	c := checker(t, func(c *dpop.Config) { c.Now = func() time.Time { return time.Unix(1562262616, 0) } })
	got, err := c.Check(proof, dpop.Request{Method: "POST", URL: "https://server.example.com/token"})
	if err != nil || got.Thumbprint != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" { // §6.1
		t.Errorf("%+v, %v", got, err)
	}
}

// RFC 9449 §4.3, check by check. Each proof is valid except for one fault.
func TestProof(t *testing.T) {
	t.Parallel()
	key := p256(t)
	weak := rsaKey(t, 1024)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, value any) func(*spec) { return func(s *spec) { s.claims[name] = value } }
	header := func(name string, value any) func(*spec) { return func(s *spec) { s.header[name] = value } }
	without := func(name string) func(*spec) { return func(s *spec) { delete(s.claims, name); delete(s.header, name) } }
	for name, change := range map[string]func(*spec){
		// 3: all claims
		"no jti": without("jti"), "no htm": without("htm"), "no htu": without("htu"), "no iat": without("iat"),
		"empty jti": claim("jti", ""), "long jti": claim("jti", strings.Repeat("x", 257)), "jti a number": claim("jti", 1), "iat a string": claim("iat", "1"),
		// 4: typ
		"no typ": without("typ"), "typ of an access token": header("typ", "at+jwt"), "typ JWT": header("typ", "JWT"),
		// 5: alg
		"none": header("alg", "none"), "HS256 in the header": header("alg", "HS256"), "another key's alg": header("alg", "EdDSA"), "no alg": without("alg"),
		"HS256 with a symmetric key": func(s *spec) {
			s.key = []byte("a secret that has enough of bytes")
			s.header["alg"], s.header["jwk"] = "HS256", jose.JSONWebKey{Key: s.key}
		},
		// RFC 8725 §2.1: the public key as the secret
		"HS256 with the public key": func(s *spec) { s.key, s.header["alg"] = elliptic.Marshal(key.Curve, key.X, key.Y), "HS256" }, //nolint:staticcheck // any encoding will do
		"P-384":                     func(s *spec) { s.key, s.header["jwk"] = p384, jose.JSONWebKey{Key: &p384.PublicKey} },
		"ES384": func(s *spec) {
			s.key, s.header["jwk"], s.header["alg"] = p384, jose.JSONWebKey{Key: &p384.PublicKey}, "ES384"
		},
		"weak RSA": func(s *spec) {
			s.key, s.algorithm, s.header["alg"], s.header["jwk"] = weak, jose.RS256, "RS256", jose.JSONWebKey{Key: &weak.PublicKey}
		},
		// 6: signature
		"signed by another key": func(s *spec) { s.key = p256(t) },
		"no jwk":                without("jwk"),
		"kid instead of jwk":    func(s *spec) { delete(s.header, "jwk"); s.header["kid"] = "a" },
		"point off the curve": header("jwk", map[string]string{
			"kty": "EC", "crv": "P-256", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE", "y": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE",
		}),
		// 7: no private key
		"private key": header("jwk", jose.JSONWebKey{Key: key}),
		// RFC 7515 §4.1.11
		"crit": func(s *spec) { s.header["crit"], s.header["exp"] = []string{"exp"}, 1 },
		// 8, 9: the request
		"another method": claim("htm", "POST"), "method in lower case": claim("htm", "get"),
		"another path": claim("htu", base+"/carts"), "another host": claim("htu", "https://evil.example.com/cart"),
		"another scheme": claim("htu", "http://api.example.com/cart"), "path in another case": claim("htu", base+"/Cart"),
		"relative": claim("htu", "/cart"), "with a user": claim("htu", "https://a@api.example.com/cart"),
		// 11: time
		"too old": claim("iat", now.Unix()-61), "of the future": claim("iat", now.Unix()+6), "huge iat": claim("iat", 1e300), "negative iat": claim("iat", -1e300),
		"expired": claim("exp", now.Unix()-6), "not yet": claim("nbf", now.Unix()+6),
		// 12: access token
		"no ath": without("ath"), "ath of another token": claim("ath", "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"), "ath is the token": claim("ath", token),
	} {
		s := good(t, key, jose.ES256)
		change(&s)
		if _, err := checker(t).Check(s.sign(t), want); !errors.Is(err, dpop.ErrInvalid) || errors.Is(err, dpop.ErrUseNonce) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Proofs that are not signed, or not exactly once.
	proof := good(t, key, jose.ES256).sign(t)
	parts := strings.Split(proof, ".")
	twice := good(t, key, jose.ES256)
	for name, text := range map[string]string{
		"empty": "", "no JWS": "x", "two parts": parts[0] + "." + parts[1], "no signature": parts[0] + "." + parts[1] + ".", "four parts": proof + ".x",
		"two proofs": proof + ", " + proof, "line break": proof + "\n", "too long": proof + strings.Repeat("A", dpop.MaxProofBytes),
		"another payload": parts[0] + "." + strings.Split(good(t, key, jose.ES256).sign(t), ".")[1] + "." + parts[2],
		"JSON form":       `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`,
		"duplicate claim": twice.signText(t, headerText(t, twice), `{"jti":"a","jti":"b","htm":"GET","htu":"`+base+`/cart","iat":1772366400}`),
	} {
		if _, err := checker(t).Check(text, want); !errors.Is(err, dpop.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		} else if len(text) > 20 && strings.Contains(err.Error(), text[:20]) {
			t.Errorf("%s: the error quotes the proof", name)
		}
	}
	if _, err := checker(t).Check(proof, want); err != nil {
		t.Errorf("the proof itself: %v", err)
	}
}

func headerText(tb testing.TB, s spec) string {
	tb.Helper()
	return string(must(jsonOf(s.header))(tb))
}

// Permitted differences are accepted.
func TestLenience(t *testing.T) {
	t.Parallel()
	for name, changed := range map[string]map[string]any{
		"as old as may be": {"iat": now.Unix() - 60}, "a little ahead": {"iat": now.Unix() + 5}, "fraction": {"iat": float64(now.Unix()) - 0.5},
		"unknown claims": {"foo": "bar"}, "query and fragment": {"htu": base + "/cart?a=b#c"}, "a nonce that nobody asked for": {"nonce": "x"},
	} {
		s := good(t, ed(t), jose.EdDSA)
		maps.Copy(s.claims, changed)
		if _, err := checker(t).Check(s.sign(t), want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := good(t, ed(t), jose.EdDSA)
	delete(s.claims, "ath")
	if _, err := checker(t).Check(s.sign(t), dpop.Request{Method: "GET", URL: base + "/cart?page=2"}); err != nil {
		t.Errorf("without an access token: %v", err)
	}
}

// RFC 9449 §4.3: compared after normalisation (RFC 3986 §6.2.2, §6.2.3).
func TestURLs(t *testing.T) {
	t.Parallel()
	key := ed(t)
	for _, test := range []struct {
		said, asked string
		same        bool
	}{
		{"HTTPS://API.example.COM/cart", "https://api.example.com/cart", true},
		{"https://api.example.com:443/cart", "https://api.example.com/cart", true},
		{"http://api.example.com:80", "http://api.example.com/", true},
		{"https://api.example.com", "https://api.example.com/", true},
		{"https://api.example.com/%63art", "https://api.example.com/cart", true},
		{"https://api.example.com/a%2fb", "https://api.example.com/a%2Fb", true},
		{"https://api.example.com/x/../cart", "https://api.example.com/cart", true},
		{"https://api.example.com/x/%2E%2e/./cart", "https://api.example.com/cart", true},
		{"https://api.example.com/x/..", "https://api.example.com/", true},
		{"https://[2001:DB8:0::1]/", "https://[2001:db8::1]/", true},
		{"https://api.example.com:444/cart", "https://api.example.com/cart", false},
		{"https://api.example.com:80/cart", "https://api.example.com/cart", false},
		{"https://api.example.com/cart/", "https://api.example.com/cart", false},
		{"https://api.example.com/a%2Fb", "https://api.example.com/a/b", false},
		{"https://api.example.com//cart", "https://api.example.com/cart", false},
		{"https://api.example.com/x/../../../cart", "https://api.example.com/x/cart", false},
		{"ftp://api.example.com/cart", "ftp://api.example.com/cart", false},
	} {
		s := good(t, key, jose.EdDSA)
		s.claims["htu"] = test.said
		_, err := checker(t).Check(s.sign(t), dpop.Request{Method: "GET", URL: test.asked, AccessToken: token})
		if (err == nil) != test.same {
			t.Errorf("%s for %s: %v", test.said, test.asked, err)
		}
	}
}
