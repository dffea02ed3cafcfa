package tokens_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/tokens"
)

func wantInvalid(t *testing.T, k kit, name, token string) {
	t.Helper()
	for _, verifier := range k.verifiers() {
		for _, typ := range []tokens.Type{tokens.AccessToken, tokens.RefreshToken} {
			c, err := verifier.Verify(token, typ)
			if !errors.Is(err, tokens.ErrInvalid) || c != (tokens.Claims{}) {
				t.Errorf("%s: accepted as %s: %+v, %v", name, typ, c, err)
			}
			if err != nil && len(token) > 20 && strings.Contains(err.Error(), token) {
				t.Errorf("%s: the error quotes the token", name)
			}
		}
	}
}

// RFC 9700 §4.14.2, ASVS 9.1.1: any bit flipped anywhere.
func TestEveryFlippedBit(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"EdDSA", "ES256", "HS256"} {
		k := setup(t, algorithm)
		token := k.sign(t, claims(tokens.AccessToken))
		for i := range len(token) * 8 {
			flipped := []byte(token)
			flipped[i/8] ^= 1 << (i % 8)
			for _, verifier := range k.verifiers() {
				if _, err := verifier.Verify(string(flipped), tokens.AccessToken); !errors.Is(err, tokens.ErrInvalid) {
					t.Fatalf("%s: accepted with bit %d flipped", algorithm, i)
				}
			}
		}
	}
}

// RFC 8032 §5.1.7: the same signature with its second half increased by the group's
// order, which the equation alone would not distinguish from the first.
func TestTheOtherFormOfAnEd25519Signature(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	token := k.sign(t, claims(tokens.AccessToken))
	input := token[:strings.LastIndexByte(token, '.')+1]
	signature, err := base64.RawURLEncoding.DecodeString(token[len(input):])
	if err != nil {
		t.Fatal(err)
	}
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	scalar := slices.Clone(signature[32:])
	slices.Reverse(scalar)
	new(big.Int).Add(new(big.Int).SetBytes(scalar), order).FillBytes(scalar)
	slices.Reverse(scalar)
	wantInvalid(t, k, "S + L", input+base64.RawURLEncoding.EncodeToString(append(signature[:32:32], scalar...)))
}

// RFC 8725 §3.1, §3.2: the algorithm comes from the key.
func TestAlgorithmIsTheKeys(t *testing.T) {
	t.Parallel()
	for _, algorithm := range tokens.AlgorithmNames() {
		k := setup(t, algorithm)
		token := k.sign(t, claims(tokens.AccessToken))
		parts := strings.Split(token, ".")
		for _, alg := range append(tokens.AlgorithmNames(), "none", "None", "NONE", "nOnE", "", "HS384", "ES384", "RS512", "EdDSA ") {
			if alg == algorithm {
				continue
			}
			header := part(t, token, 0)
			header["alg"] = alg
			wantInvalid(t, k, algorithm+" as "+alg, encode(t, header)+"."+parts[1]+"."+parts[2])
			wantInvalid(t, k, algorithm+" as "+alg+" unsigned", encode(t, header)+"."+parts[1]+".")
		}
	}
}

// RFC 8725 §2.1: a public key used as an HMAC secret.
func TestPublicKeyAsHMACSecret(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"EdDSA", "ES256", "RS256", "PS256"} {
		k := setup(t, algorithm)
		token := k.sign(t, claims(tokens.AccessToken))
		header := part(t, token, 0)
		header["alg"] = "HS256"
		input := encode(t, header) + "." + strings.Split(token, ".")[1]

		var jwks struct {
			Keys []map[string]any `json:"keys"`
		}
		if err := json.Unmarshal(k.ring.PublicJWKS(), &jwks); err != nil {
			t.Fatal(err)
		}
		secrets := [][]byte{k.ring.PublicJWKS()}
		for _, member := range []string{"x", "y", "n"} {
			if s, ok := jwks.Keys[0][member].(string); ok {
				raw, err := base64.RawURLEncoding.DecodeString(s)
				if err != nil {
					t.Fatal(err)
				}
				secrets = append(secrets, raw, []byte(s))
			}
		}
		for _, secret := range secrets {
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(input))
			wantInvalid(t, k, algorithm, input+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
		}
	}
}

// RFC 8725 §3.10: whatever the header refers to is never fetched or looked up.
func TestHostileHeader(t *testing.T) {
	t.Parallel()
	fetched := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched = true }))
	t.Cleanup(server.Close)

	k, attacker := setup(t, "EdDSA"), setup(t, "EdDSA")
	forged := attacker.sign(t, claims(tokens.AccessToken))
	var attackersKey map[string]any
	if err := json.Unmarshal([]byte(attacker.jwk), &attackersKey); err != nil {
		t.Fatal(err)
	}
	for name, members := range map[string]map[string]any{
		"attacker's kid":  {},
		"our kid":         {"kid": k.ring.Keys()[0].ID},
		"no kid":          {"kid": nil},
		"empty kid":       {"kid": ""},
		"kid is a number": {"kid": 1},
		"kid is SQL":      {"kid": "' OR 1=1 --"},
		"kid is a path":   {"kid": "../../../../dev/null"},
		"kid is huge":     {"kid": strings.Repeat("k", 2000)},
		"jku":             {"jku": server.URL, "kid": k.ring.Keys()[0].ID},
		"x5u":             {"x5u": server.URL, "kid": k.ring.Keys()[0].ID},
		"jwk":             {"jwk": attackersKey, "kid": k.ring.Keys()[0].ID},
		"x5c":             {"x5c": []string{"MIIB"}, "kid": k.ring.Keys()[0].ID},
		"no typ":          {"typ": nil},
		"typ JWT":         {"typ": "JWT"},
		"typ of a logout": {"typ": "logout+jwt"},
	} {
		header := part(t, forged, 0)
		maps.Copy(header, members)
		// Signed by the attacker over the changed header.
		wantInvalid(t, k, name, attacker.resign(t, header, part(t, forged, 1)))
	}
	if fetched {
		t.Error("a URL in a header was fetched")
	}
}

// The same headers on tokens that our own key signed: a header that differs by a
// byte from what we write is not ours, whatever it says (RFC 8725 §3.10, §3.11;
// RFC 7515 §4.1.11).
func TestHeaderOfOurs(t *testing.T) {
	t.Parallel()
	k := setup(t, "HS256")
	good := k.sign(t, claims(tokens.AccessToken))
	for name, test := range map[string]struct {
		members map[string]any
		ok      bool
	}{
		"unchanged":  {map[string]any{}, true},
		"jku":        {map[string]any{"jku": "https://evil.example"}, false},
		"crit":       {map[string]any{"crit": []string{"exp"}}, false},
		"empty crit": {map[string]any{"crit": []string{}}, false},
		"typ JWT":    {map[string]any{"typ": "JWT"}, false},
		"typ upper":  {map[string]any{"typ": "AT+JWT"}, false},
		"no typ":     {map[string]any{"typ": nil}, false},
	} {
		header := part(t, good, 0)
		maps.Copy(header, test.members)
		token := k.resign(t, header, part(t, good, 1))
		if test.ok {
			if _, err := k.verifier.Verify(token, tokens.AccessToken); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		wantInvalid(t, k, name, token)
	}
}

// RFC 8725 §3.8, §3.9; RFC 9068 §4: claims that are wrong or missing, in
// tokens that our key signed.
func TestHostileClaims(t *testing.T) {
	t.Parallel()
	k := setup(t, "HS256")
	for _, typ := range []tokens.Type{tokens.AccessToken, tokens.RefreshToken} {
		good := k.sign(t, claims(typ))
		prefix, other := "a", "r" // of the generation
		if typ == tokens.RefreshToken {
			prefix, other = other, prefix
		}
		const row = "0195511e-3a00-7000-8000-000000000002."
		if _, err := k.verifier.Verify(k.resign(t, part(t, good, 0), part(t, good, 1)), typ); err != nil {
			t.Errorf("%s, unchanged: %v", typ, err) // or everything below would be refused for its signature
		}
		for name, members := range map[string]map[string]any{
			"iss wrong":         {"iss": "https://evil.example"},
			"iss with slash":    {"iss": "https://id.example.com/"},
			"iss missing":       {"iss": nil},
			"aud wrong":         {"aud": "https://other.example.com"},
			"aud missing":       {"aud": nil},
			"aud empty":         {"aud": ""},
			"aud a list":        {"aud": []string{"https://api.example.com", "https://id.example.com/oauth2/token"}},
			"exp missing":       {"exp": nil},
			"exp a string":      {"exp": "1772366640"},
			"exp zero":          {"exp": 0},
			"iat missing":       {"iat": nil},
			"nbf in the future": {"nbf": now.Unix() + 6},
			"jti missing":       {"jti": nil},
			"jti no generation": {"jti": "0195511e-3a00-7000-8000-000000000002"},
			"jti negative":      {"jti": row + prefix + "-1"},
			"jti no number":     {"jti": row + prefix},
			"jti half a number": {"jti": row + prefix + "7x"},
			"jti too large":     {"jti": row + prefix + "9223372036854775808"},
			"jti of the other":  {"jti": row + other + "7"},
			"jti no uuid":       {"jti": "1." + prefix + "1"},
			"jti no letter":     {"jti": row + "7"},
			"sid missing":       {"sid": nil},
			"sid no uuid":       {"sid": "x"},
		} {
			body := part(t, good, 1)
			maps.Copy(body, members)
			token := k.resign(t, part(t, good, 0), body)
			wantInvalid(t, k, string(typ)+" "+name, token)
			// The issuer forgives a wrong time, and nothing else.
			_, err := k.verifier.VerifyIssued(token)
			if forgiven := name == "nbf in the future" || name == "aud wrong" && typ == tokens.AccessToken; forgiven != (err == nil) || errors.Is(err, tokens.ErrExpired) {
				t.Errorf("%s %s, for the issuer: %v", typ, name, err)
			}
		}
	}
	good := k.sign(t, claims(tokens.AccessToken))
	for _, member := range []string{"sub", "client_id"} {
		body := part(t, good, 1)
		delete(body, member)
		wantInvalid(t, k, "without "+member, k.resign(t, part(t, good, 0), body))
	}
	body := part(t, good, 1)
	body["nbf"] = now.Unix() + 5
	if _, err := k.verifier.Verify(k.resign(t, part(t, good, 0), body), tokens.AccessToken); err != nil {
		t.Errorf("nbf within the leeway: %v", err)
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	good := k.sign(t, claims(tokens.AccessToken))
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"empty": "", "dots": "..", "one part": parts[0], "two parts": parts[0] + "." + parts[1],
		"four parts": good + ".x", "JWE": good + ".x.y", "line break": parts[0] + ".\n" + parts[1] + "." + parts[2],
		"space": " " + good, "trailing line break": good + "\n", "padding": good + "=", "NUL": good + "\x00",
		"not base64": "#." + parts[1] + "." + parts[2], "not JSON": "eA." + parts[1] + "." + parts[2],
		"no signature": parts[0] + "." + parts[1] + ".",
	} {
		wantInvalid(t, k, name, token)
	}
	if _, err := k.verifier.Verify(strings.Repeat("a", tokens.MaxTokenBytes+1), tokens.AccessToken); !errors.Is(err, tokens.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	// The longest claims still make a token that is accepted.
	cfg := config()
	cfg.Issuer, cfg.Audience, cfg.ClientID = strings.Repeat("i", 490), strings.Repeat("a", 512), strings.Repeat("c", 512)
	jwk, _, err := tokens.GenerateKey("RS256")
	if err != nil {
		t.Fatal(err)
	}
	long := kitFor(t, cfg, string(jwk))
	c := claims(tokens.AccessToken)
	c.Subject = strings.Repeat("\x01", 255) // six bytes each in JSON
	if _, err := long.verifier.Verify(long.sign(t, c), tokens.AccessToken); err != nil {
		t.Errorf("longest: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		f.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		f.Fatal(err)
	}
	signer, err := tokens.NewSigner(ring, config())
	if err != nil {
		f.Fatal(err)
	}
	verifier, err := tokens.NewVerifier(ring, config())
	if err != nil {
		f.Fatal(err)
	}
	good, err := signer.Sign(claims(tokens.AccessToken))
	if err != nil {
		f.Fatal(err)
	}
	refresh, err := signer.Sign(claims(tokens.RefreshToken))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add(string(refresh))
	f.Add("..")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, token string) {
		for typ, only := range map[tokens.Type]tokens.Secret{tokens.AccessToken: good, tokens.RefreshToken: refresh} {
			c, err := verifier.Verify(token, typ)
			if err == nil && token != string(only) {
				t.Errorf("accepted %q as %s", token, typ)
			}
			if err != nil && (!errors.Is(err, tokens.ErrInvalid) && !errors.Is(err, tokens.ErrWrongType) || c != (tokens.Claims{})) {
				t.Errorf("claims %+v with %v", c, err)
			}
		}
	})
}
