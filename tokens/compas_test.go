package tokens_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

const compasKey = "twenty characters !!"

// Written by sessionStoreCreateJWT of Compas 0.5.5 with that key.
const (
	compasAccess  = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjE3NzIzNjY3MDAsImNvbXBhc1Nlc3Npb25BY2Nlc3NUb2tlbiI6IjZmMGY4ZjU3LThhOGUtNGJkMi04YTBmLTJkOWI2NGNlN2M1MSJ9.kbJ2DUa6IUMfm8ymsXxXSVJJp5IqzvKwOgLPi1O86EE"
	compasRefresh = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjE3NzI0NTI4MDAsImNvbXBhc1Nlc3Npb25SZWZyZXNoVG9rZW4iOiJiOGYzYmI2Yy0yYzljLTRkNTYtOWQ1Ny02ZjNkMmE2ZDdjMDIifQ.Op7-U7DozCahEceXAWcXpRFc1glXj9je096xAlpWX8Q"
)

const compasHeader = `{"alg":"HS256","typ":"JWT"}`

func signCompas(header, payload, key string) string {
	encode := base64.RawURLEncoding.EncodeToString
	message := encode([]byte(header)) + "." + encode([]byte(payload))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(message))
	return message + "." + encode(mac.Sum(nil))
}

func compasVerifier(tb testing.TB) *tokens.CompasVerifier {
	tb.Helper()
	v, err := tokens.NewCompasVerifier(compasKey, config())
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

const compasRow = "0c5f3c29-6a3c-4a42-9d0b-7d3a4c1f2b10"

func TestCompasToken(t *testing.T) {
	t.Parallel()
	v := compasVerifier(t)
	exp := now.Add(time.Hour)
	for name, c := range map[string]struct {
		payload string
		want    tokens.CompasClaims
	}{
		"access": {
			fmt.Sprintf(`{"exp":%d,"compasSessionAccessToken":%q}`, exp.Unix(), compasRow),
			tokens.CompasClaims{Type: tokens.AccessToken, ExpiresAt: exp},
		},
		"refresh": {
			fmt.Sprintf(`{"exp":%d,"compasSessionRefreshToken":%q}`, exp.Unix(), compasRow),
			tokens.CompasClaims{Type: tokens.RefreshToken, ExpiresAt: exp},
		},
		"within the leeway": {
			fmt.Sprintf(`{"exp":%d,"compasSessionRefreshToken":%q}`, now.Unix()-4, compasRow),
			tokens.CompasClaims{Type: tokens.RefreshToken, ExpiresAt: now.Add(-4 * time.Second)},
		},
		"without end": {
			fmt.Sprintf(`{"compasSessionAccessToken":%q}`, compasRow),
			tokens.CompasClaims{Type: tokens.AccessToken},
		},
	} {
		c.want.TokenID = uuid.MustParse(compasRow)
		got, err := v.Verify(signCompas(compasHeader, c.payload, compasKey), c.want.Type)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestCompasTokenOfTheRealOne(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Now = func() time.Time { return time.Unix(1_772_366_400, 0) }
	v, err := tokens.NewCompasVerifier(compasKey, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Verify(compasAccess, tokens.AccessToken); err != nil || got.TokenID != uuid.MustParse("6f0f8f57-8a8e-4bd2-8a0f-2d9b64ce7c51") {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := v.Verify(compasRefresh, tokens.RefreshToken); err != nil || got.TokenID != uuid.MustParse("b8f3bb6c-2c9c-4d56-9d57-6f3d2a6d7c02") {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := v.Verify(compasRefresh, tokens.AccessToken); !errors.Is(err, tokens.ErrWrongType) {
		t.Errorf("the wrong type: %v", err)
	}
	// RFC 9700 §4.14.2: a changed token is refused, whatever the change.
	for i := range compasAccess {
		for bit := range 8 {
			changed := []byte(compasAccess)
			changed[i] ^= 1 << bit
			if _, err := v.VerifyAny(string(changed)); !errors.Is(err, tokens.ErrInvalid) {
				t.Fatalf("bit %d of byte %d is changed: %v", bit, i, err)
			}
		}
	}
}

func TestCompasTokenRefused(t *testing.T) {
	t.Parallel()
	v := compasVerifier(t)
	access := fmt.Sprintf(`{"exp":%d,"compasSessionAccessToken":%q}`, now.Unix()+60, compasRow)
	k := setup(t, "HS256")
	ours, err := k.signer.Sign(claims(tokens.AccessToken))
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"nothing":             "",
		"ours":                string(ours),
		"two parts":           strings.Join(strings.Split(signCompas(compasHeader, access, compasKey), ".")[:2], "."),
		"four parts":          signCompas(compasHeader, access, compasKey) + ".",
		"another key":         signCompas(compasHeader, access, compasKey+"!"),
		"padding":             signCompas(compasHeader, access, compasKey) + "=",
		"a line break":        signCompas(compasHeader, access, compasKey) + "\n",
		"alg none":            signCompas(`{"alg":"none","typ":"JWT"}`, access, compasKey), // RFC 8725 §3.2
		"another header":      signCompas(`{"typ":"JWT","alg":"HS256"}`, access, compasKey),
		"a header with jku":   signCompas(`{"alg":"HS256","typ":"JWT","jku":"https://example.com"}`, access, compasKey),
		"no signature":        strings.TrimRight(signCompas(compasHeader, access, compasKey), "-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
		"no claim":            signCompas(compasHeader, `{"exp":4102444800}`, compasKey),
		"both claims":         signCompas(compasHeader, fmt.Sprintf(`{"compasSessionAccessToken":%q,"compasSessionRefreshToken":%q}`, compasRow, compasRow), compasKey),
		"one claim twice":     signCompas(compasHeader, fmt.Sprintf(`{"compasSessionAccessToken":%q,"compasSessionAccessToken":%q}`, compasRow, compasRow), compasKey),
		"no row":              signCompas(compasHeader, `{"exp":4102444800,"compasSessionAccessToken":"1 OR 1=1"}`, compasKey),
		"exp as text":         signCompas(compasHeader, fmt.Sprintf(`{"exp":"4102444800","compasSessionAccessToken":%q}`, compasRow), compasKey),
		"exp before 1970":     signCompas(compasHeader, fmt.Sprintf(`{"exp":-1,"compasSessionAccessToken":%q}`, compasRow), compasKey),
		"exp after all times": signCompas(compasHeader, fmt.Sprintf(`{"exp":9223372036854775807,"compasSessionAccessToken":%q}`, compasRow), compasKey),
		"no object":           signCompas(compasHeader, `[]`, compasKey),
		"no JSON":             signCompas(compasHeader, access+"}", compasKey),
	} {
		if c, err := v.VerifyAny(token); !errors.Is(err, tokens.ErrInvalid) || c != (tokens.CompasClaims{}) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if _, err := v.VerifyAny(strings.Repeat("x", tokens.MaxTokenBytes+1)); !errors.Is(err, tokens.ErrTooLarge) {
		t.Errorf("a long token: %v", err)
	}
	expired := signCompas(compasHeader, fmt.Sprintf(`{"exp":%d,"compasSessionAccessToken":%q}`, now.Unix()-5, compasRow), compasKey)
	if _, err := v.Verify(expired, tokens.AccessToken); !errors.Is(err, tokens.ErrExpired) {
		t.Errorf("an expired token: %v", err)
	}
	if _, err := v.Verify(expired, tokens.RefreshToken); !errors.Is(err, tokens.ErrWrongType) {
		t.Errorf("an expired token of the wrong type: %v", err)
	}
	// Our own verifier accepts none of them, even one that has the key.
	if _, err := k.verifier.VerifyAny(signCompas(compasHeader, access, compasKey)); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("a token of Compas, by our verifier: %v", err)
	}
}

// An error says what is wrong: that a token is not signed by Compas means another key.
func TestReasonsOfCompas(t *testing.T) {
	t.Parallel()
	v := compasVerifier(t)
	access := fmt.Sprintf(`{"exp":%d,"compasSessionAccessToken":%q}`, now.Unix()+60, compasRow)
	for reason, token := range map[string]string{
		"not a token of Compas": signCompas(`{"typ":"JWT","alg":"HS256"}`, access, compasKey),
		"not signed by Compas":  signCompas(compasHeader, access, compasKey+"!"),
		"claims":                signCompas(compasHeader, `{"exp":4102444800}`, compasKey),
	} {
		for _, typ := range []tokens.Type{tokens.AccessToken, tokens.RefreshToken} {
			if c, err := v.Verify(token, typ); !errors.Is(err, tokens.ErrInvalid) || errors.Is(err, tokens.ErrWrongType) || !strings.HasSuffix(err.Error(), ": "+reason) || c != (tokens.CompasClaims{}) {
				t.Errorf("%s as %s: %+v, %v", reason, typ, c, err)
			}
		}
	}
}

// The caller has the database's clock and compares exp with it. Everything else is checked.
func TestIssuedByCompas(t *testing.T) {
	t.Parallel()
	v := compasVerifier(t)
	for _, exp := range []time.Time{now.Add(time.Hour), now.Add(-time.Hour)} {
		payload := fmt.Sprintf(`{"exp":%d,"compasSessionRefreshToken":%q}`, exp.Unix(), compasRow)
		want := tokens.CompasClaims{Type: tokens.RefreshToken, TokenID: uuid.MustParse(compasRow), ExpiresAt: exp}
		if got, err := v.VerifyIssued(signCompas(compasHeader, payload, compasKey)); err != nil || got != want {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
		for name, token := range map[string]string{
			"forged": signCompas(compasHeader, payload, compasKey+"!"), "of no row": signCompas(compasHeader, fmt.Sprintf(`{"exp":%d}`, exp.Unix()), compasKey),
		} {
			if got, err := v.VerifyIssued(token); !errors.Is(err, tokens.ErrInvalid) || errors.Is(err, tokens.ErrExpired) || got != (tokens.CompasClaims{}) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	}
}

// Compas counts UTF-16 code units.
func TestCompasKey(t *testing.T) {
	t.Parallel()
	for key, ok := range map[tokens.Secret]bool{
		"": false, "nineteen characters": false, compasKey: true,
		tokens.Secret(strings.Repeat("é", 19)): false, tokens.Secret(strings.Repeat("é", 20)): true,
		tokens.Secret(strings.Repeat("🔑", 9)): false, tokens.Secret(strings.Repeat("🔑", 10)): true,
	} {
		if _, err := tokens.NewCompasVerifier(key, config()); (err == nil) != ok {
			t.Errorf("a key of %d bytes: %v", len(key), err)
		}
	}
	if _, err := tokens.NewCompasVerifier(compasKey, tokens.Config{}); err == nil {
		t.Error("no configuration")
	}
}

// A token is accepted only in the exact spelling that its signer gave it.
func FuzzCompas(f *testing.F) {
	v := compasVerifier(f)
	for _, payload := range []string{
		fmt.Sprintf(`{"exp":%d,"compasSessionAccessToken":%q}`, now.Unix()+60, compasRow),
		fmt.Sprintf(`{"exp":%d,"compasSessionRefreshToken":%q}`, now.Unix()+60, compasRow),
		fmt.Sprintf(`{"compasSessionRefreshToken":%q}`, compasRow),
		`{"exp":-1e9,"compasSessionRefreshToken":null}`, `[]`, ``,
	} {
		f.Add(payload, signCompas(compasHeader, payload, compasKey))
	}
	f.Fuzz(func(t *testing.T, payload, token string) {
		if c, err := v.VerifyAny(token); err == nil {
			body, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
			if signCompas(compasHeader, string(body), compasKey) != token {
				t.Errorf("another spelling is taken: %q", token)
			}
			if c.TokenID == uuid.Nil && !strings.Contains(string(body), uuid.Nil.String()) {
				t.Errorf("claims %+v of %q", c, body)
			}
		} else if !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%q: %v", token, err)
		}
		c, err := v.VerifyAny(signCompas(compasHeader, payload, compasKey))
		switch {
		case err == nil:
			if !c.ExpiresAt.IsZero() && c.ExpiresAt.Before(now.Add(-time.Minute)) || c.Type != tokens.AccessToken && c.Type != tokens.RefreshToken {
				t.Errorf("%q: %+v", payload, c)
			}
		case !errors.Is(err, tokens.ErrInvalid):
			t.Errorf("%q: %v", payload, err)
		}
	})
}
