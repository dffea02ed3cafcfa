package tokens_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// GO-2025-3553, CVE-2025-30204, GHSA-mh63-6h87-95cp: golang-jwt split a token at each of
// its dots, which took many times its length in memory.
func TestMassesOfDots(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	compas := compasVerifier(t)
	header, _, _ := strings.Cut(k.sign(t, claims(tokens.AccessToken)), ".")
	compasHeader, _, _ := strings.Cut(compasAccess, ".")
	for name, start := range map[string]string{"nothing": "", "our header": header, "Compas' header": compasHeader} {
		token := start + strings.Repeat(".", tokens.MaxTokenBytes-len(start))
		wantInvalid(t, k, name+" and dots", token)
		if _, err := compas.VerifyAny(token); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s and dots: %v", name, err)
		}
		longer := token + strings.Repeat(".", 1<<20)
		if _, err := k.verifier.Verify(longer, tokens.AccessToken); !errors.Is(err, tokens.ErrTooLarge) {
			t.Errorf("%s and a million dots: %v", name, err)
		}
	}
}

// GO-2024-3250, CVE-2024-51744, GHSA-29wx-vh33-7x7r: golang-jwt's error may say at
// once that a token has expired and that it is invalid. Code that looks only for the
// first takes a forged token for an expired one.
func TestExpiredAndWorseIsNotExpired(t *testing.T) {
	t.Parallel()
	k, stranger := setup(t, "HS256"), setup(t, "HS256")
	for _, typ := range []tokens.Type{tokens.AccessToken, tokens.RefreshToken} {
		c := claims(typ)
		c.IssuedAt, c.ExpiresAt = now.Add(-2*time.Hour), now.Add(-time.Hour)
		expired := k.sign(t, c)
		if _, err := k.verifier.Verify(expired, typ); !errors.Is(err, tokens.ErrExpired) {
			t.Errorf("%s: an expired token: %v", typ, err)
		}
		worse := map[string]string{
			"forged":       stranger.resign(t, part(t, expired, 0), part(t, expired, 1)),
			"not signed":   expired[:strings.LastIndexByte(expired, '.')+1],
			"another key":  stranger.sign(t, c),
			"another part": strings.Replace(expired, ".", ".e30", 1),
		}
		for name, token := range worse {
			if got, err := k.verifier.VerifyAny(token); !errors.Is(err, tokens.ErrInvalid) || errors.Is(err, tokens.ErrExpired) || got != (tokens.Claims{}) {
				t.Errorf("%s: expired and %s: %+v, %v", typ, name, got, err)
			}
		}
	}
	c := claims(tokens.AccessToken)
	c.IssuedAt, c.ExpiresAt = now.Add(-2*time.Hour), now.Add(-time.Hour)
	expired := k.sign(t, c)
	for name, members := range map[string]map[string]any{
		"of another issuer":     {"iss": "https://evil.example"},
		"without an issuer":     {"iss": nil},
		"for someone else":      {"aud": "https://other.example.com"},
		"for nobody":            {"aud": nil},
		"not valid yet":         {"nbf": now.Unix() + 60},
		"without an iat":        {"iat": nil},
		"without a session":     {"sid": nil},
		"without a row":         {"jti": "x"},
		"without a subject":     {"sub": nil},
		"bound to no valid key": {"cnf": map[string]any{"jkt": "x"}},
		"with an odd member":    {"exp": "1772366640"},
		"of issuer and nobody":  {"iss": "https://evil.example", "aud": nil},
	} {
		body := part(t, expired, 1)
		maps.Copy(body, members)
		if _, err := k.verifier.VerifyAny(k.resign(t, part(t, expired, 0), body)); !errors.Is(err, tokens.ErrInvalid) || errors.Is(err, tokens.ErrExpired) {
			t.Errorf("expired and %s: %v", name, err)
		}
	}

	v := compasVerifier(t)
	payload := `{"exp":1,"compasSessionAccessToken":"` + compasRow + `"}`
	for name, token := range map[string]string{
		"forged":    signCompas(compasHeader, payload, compasKey+"!"),
		"of no row": signCompas(compasHeader, `{"exp":1,"compasSessionAccessToken":"x"}`, compasKey),
		"both":      signCompas(compasHeader, `{"exp":1,"compasSessionAccessToken":"`+compasRow+`","compasSessionRefreshToken":"`+compasRow+`"}`, compasKey),
		"before":    signCompas(compasHeader, `{"exp":-1,"compasSessionAccessToken":"`+compasRow+`"}`, compasKey),
	} {
		if got, err := v.VerifyAny(token); !errors.Is(err, tokens.ErrInvalid) || errors.Is(err, tokens.ErrExpired) || got != (tokens.CompasClaims{}) {
			t.Errorf("Compas: expired and %s: %+v, %v", name, got, err)
		}
	}
}

// GO-2020-0017, CVE-2020-26160, GHSA-w73w-5m7g-f7qc: an aud that was a list, or not a
// string, counted as none, and none as the expected one.
func TestAudienceOfAnotherKind(t *testing.T) {
	t.Parallel()
	k := setup(t, "HS256")
	for _, typ := range []tokens.Type{tokens.AccessToken, tokens.RefreshToken} {
		good := k.sign(t, claims(typ))
		wanted := part(t, good, 1)["aud"]
		for name, aud := range map[string]any{
			"none": nil, "empty": "", "an empty list": []any{}, "a list of nothing": []any{""}, "a list of null": []any{nil},
			"a list of it": []any{wanted}, "a list of another": []any{"https://evil.example"}, "a list of two others": []any{"https://evil.example", "https://evil2.example"},
			"a number": 1, "true": true, "an object": map[string]any{"aud": wanted},
		} {
			body := part(t, good, 1)
			body["aud"] = aud
			wantInvalid(t, k, string(typ)+": "+name, k.resign(t, part(t, good, 0), body))
		}
		body := part(t, good, 1)
		delete(body, "aud")
		wantInvalid(t, k, string(typ)+": left out", k.resign(t, part(t, good, 0), body))
	}
}

// RFC 8259 §4, RFC 7519 §4: claims that two readers might read in two ways, in tokens
// that our key signed. Go's encoding/json, which golang-jwt decodes with, accepts
// them.
func TestAmbiguousClaims(t *testing.T) {
	t.Parallel()
	k := setup(t, "HS256")
	good := k.sign(t, claims(tokens.AccessToken))
	header, rest, _ := strings.Cut(good, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	for name, changed := range map[string]string{
		// Here everything that is required precedes the ambiguity.
		"a member twice, at the end":  strings.TrimSuffix(string(text), "}") + `,"sub":"eve"}`,
		"another twice, at the end":   strings.TrimSuffix(string(text), "}") + `,"role":"a","role":"b"}`,
		"no UTF-8, at the end":        strings.TrimSuffix(string(text), "}") + `,"role":"` + "\xff" + `"}`,
		"of another kind, at the end": strings.TrimSuffix(string(text), "}") + `,"nbf":"0"}`,
		"a member twice":              strings.Replace(string(text), "{", `{"sub":"eve",`, 1),
		"a name in capitals":          strings.Replace(string(text), `"iss"`, `"ISS"`, 1),
		"text after the claims":       string(text) + " {}",
		"no UTF-8":                    strings.Replace(string(text), "user-1", "user-\xff", 1),
		"null":                        "null",
		"a list":                      "[" + string(text) + "]",
	} {
		wantInvalid(t, k, name, k.attach(t, header+"."+base64.RawURLEncoding.EncodeToString([]byte(changed))))
	}
	if k.attach(t, header+"."+payload) != good {
		t.Error("this signature differs from the signer's")
	}
}

// RFC 7518 §3.5: the salt of PS256 is as long as the hash. golang-jwt accepts any.
func TestSaltOfPS256(t *testing.T) {
	t.Parallel()
	k := setup(t, "PS256")
	good := k.sign(t, claims(tokens.AccessToken))
	input := good[:strings.LastIndexByte(good, '.')]
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON([]byte(k.jwk)); err != nil {
		t.Fatal(err)
	}
	key, ok := jwk.Key.(*rsa.PrivateKey)
	if !ok {
		t.Fatalf("the key is a %T", jwk.Key)
	}
	digest := sha256.Sum256([]byte(input))
	for salt, ok := range map[int]bool{sha256.Size: true, 20: false, 48: false, rsa.PSSSaltLengthAuto: false} {
		signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			t.Fatal(err)
		}
		token := input + "." + base64.RawURLEncoding.EncodeToString(signature)
		if !ok {
			wantInvalid(t, k, "another salt", token)
		} else if _, err := k.verifier.Verify(token, tokens.AccessToken); err != nil {
			t.Errorf("the right salt: %v", err)
		}
	}
}
