package tokens_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, algorithm := range tokens.AlgorithmNames() {
		for _, typ := range []tokens.Type{tokens.AccessToken, tokens.RefreshToken} {
			t.Run(algorithm+" "+string(typ), func(t *testing.T) {
				t.Parallel()
				k := setup(t, algorithm)
				want := claims(typ)
				got, err := k.verifier.Verify(k.sign(t, want), typ)
				if err != nil {
					t.Fatal(err)
				}
				want.Issuer, want.KeyID = "https://id.example.com", k.ring.Keys()[0].ID
				want.Audience = "https://id.example.com/oauth2/token"
				if typ == tokens.AccessToken {
					want.Audience, want.ClientID = "https://api.example.com", "app"
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// RFC 9068 §2.2, §6: the claims of an access token, and nothing else.
func TestClaimNames(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	for typ, want := range map[tokens.Type]map[string]any{
		tokens.AccessToken: {
			"iss": "https://id.example.com", "aud": "https://api.example.com", "sub": "user-1", "client_id": "app",
			"exp": 1772366640.0, "iat": 1772366340.0, "jti": "0195511e-3a00-7000-8000-000000000002.a7",
			"sid": "0195511e-3a00-7000-8000-000000000001",
		},
		tokens.RefreshToken: {
			"iss": "https://id.example.com", "aud": "https://id.example.com/oauth2/token", "sub": "user-1",
			"exp": 1772366640.0, "iat": 1772366340.0, "jti": "0195511e-3a00-7000-8000-000000000002.r7",
			"sid": "0195511e-3a00-7000-8000-000000000001",
		},
	} {
		token := k.sign(t, claims(typ))
		if diff := cmp.Diff(want, part(t, token, 1)); diff != "" {
			t.Errorf("%s: %s", typ, diff)
		}
		algorithm := map[tokens.Type]string{tokens.AccessToken: "EdDSA", tokens.RefreshToken: "HS256"}[typ]
		wantHeader := map[string]any{"alg": algorithm, "kid": k.ring.Keys()[0].ID, "typ": string(typ)}
		if diff := cmp.Diff(wantHeader, part(t, token, 0)); diff != "" {
			t.Errorf("%s: %s", typ, diff)
		}
	}
}

// A session without a user is its own subject: RFC 9068 §2.2 requires a sub.
func TestNoSubject(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	c := claims(tokens.AccessToken)
	c.Subject = ""
	token := k.sign(t, c)
	if sub := part(t, token, 1)["sub"]; sub != c.SessionID.String() {
		t.Errorf("sub is %v", sub)
	}
	got, err := k.verifier.Verify(token, tokens.AccessToken)
	if err != nil || got.Subject != "" {
		t.Errorf("got subject %q, error %v", got.Subject, err)
	}
	c.Type = tokens.RefreshToken
	if sub, has := part(t, k.sign(t, c), 1)["sub"]; has {
		t.Errorf("the refresh token's sub is %v", sub)
	}
}

func TestSameClaimsSameToken(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"EdDSA", "ES256", "HS256", "RS256"} {
		k := setup(t, algorithm)
		first, second := k.sign(t, claims(tokens.AccessToken)), k.sign(t, claims(tokens.AccessToken))
		if first != second {
			t.Errorf("%s: the same claims gave different tokens", algorithm)
		}
	}
}

// ASVS 9.2.1: times at their edges, with the leeway of 5 s.
func TestTimes(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	for _, test := range []struct {
		name             string
		issued, expires  time.Duration
		expired, invalid bool
	}{
		{name: "good", issued: 0, expires: time.Second},
		{name: "expired within the leeway", issued: -time.Minute, expires: -4 * time.Second},
		{name: "expired", issued: -time.Minute, expires: -5 * time.Second, expired: true, invalid: true},
		{name: "issued in the future", issued: 24 * time.Hour, expires: 25 * time.Hour},
	} {
		c := claims(tokens.AccessToken)
		c.IssuedAt, c.ExpiresAt = now.Add(test.issued), now.Add(test.expires)
		got, err := k.verifier.Verify(k.sign(t, c), tokens.AccessToken)
		if errors.Is(err, tokens.ErrExpired) != test.expired || errors.Is(err, tokens.ErrInvalid) != test.invalid {
			t.Errorf("%s: %v", test.name, err)
		}
		if err != nil && got != (tokens.Claims{}) {
			t.Errorf("%s: claims %+v came with an error", test.name, got)
		}
	}
}

// RFC 8725 §3.11, §3.12; RFC 9068 §4.
func TestWrongType(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	for _, have := range []tokens.Type{tokens.AccessToken, tokens.RefreshToken} {
		want := tokens.AccessToken
		if have == want {
			want = tokens.RefreshToken
		}
		for _, expires := range []time.Duration{time.Minute, -time.Minute} {
			c := claims(have)
			c.ExpiresAt = now.Add(expires)
			if got, err := k.verifier.Verify(k.sign(t, c), want); !errors.Is(err, tokens.ErrWrongType) || got != (tokens.Claims{}) {
				t.Errorf("%s as %s: %v", have, want, err)
			}
		}
	}
}

// An error names the worst that is wrong with a token of ours: what to do about it depends on that.
func TestReasons(t *testing.T) {
	t.Parallel()
	k, stranger := setup(t, "HS256"), setup(t, "HS256")
	type members = map[string]any
	late, early, aud, iss := now.Add(-time.Hour).Unix(), now.Add(time.Hour).Unix(), "https://other.example.com", "https://evil.example"
	good := k.sign(t, claims(tokens.AccessToken))
	for _, test := range []struct {
		changed members
		want    error
	}{
		{members{"exp": late}, tokens.ErrExpired},
		{members{"nbf": early}, tokens.ErrNotValidYet},
		{members{"exp": late, "nbf": early}, tokens.ErrNotValidYet},
		{members{"aud": aud}, tokens.ErrWrongAudience},
		{members{"aud": aud, "exp": late}, tokens.ErrWrongAudience},
		{members{"aud": aud, "nbf": early}, tokens.ErrWrongAudience},
		{members{"aud": aud, "exp": late, "nbf": early}, tokens.ErrWrongAudience},
		{members{"iss": iss}, tokens.ErrWrongIssuer},
		{members{"iss": iss, "exp": late}, tokens.ErrWrongIssuer},
		{members{"iss": iss, "nbf": early}, tokens.ErrWrongIssuer},
		{members{"iss": iss, "aud": aud}, tokens.ErrWrongIssuer},
		{members{"sid": "x"}, nil},
		{members{"sid": "x", "exp": late}, nil},
		{members{"sid": "x", "aud": aud}, nil},
		{members{"sid": "x", "iss": iss}, nil},
	} {
		body := part(t, good, 1)
		maps.Copy(body, test.changed)
		_, err := k.verifier.Verify(k.resign(t, part(t, good, 0), body), tokens.AccessToken)
		for _, reason := range []error{tokens.ErrExpired, tokens.ErrNotValidYet, tokens.ErrWrongAudience, tokens.ErrWrongIssuer, tokens.ErrUnknownKey, tokens.ErrWrongType} {
			if !errors.Is(err, tokens.ErrInvalid) || errors.Is(err, reason) != errors.Is(test.want, reason) {
				t.Errorf("%v: %v, want %v", test.changed, err, test.want)
			}
		}
		if test.want == nil && (!strings.Contains(err.Error(), "invalid claims: ") || !strings.HasSuffix(err.Error(), "sid")) {
			t.Errorf("%v: %v does not say what", test.changed, err)
		}
	}
	body := part(t, good, 1)
	body["exp"] = "1"
	for _, test := range []struct {
		name, token string
		want        error
		says        string
	}{
		{"forged", stranger.resign(t, part(t, good, 0), part(t, good, 1)), tokens.ErrUnknownKey, "not signed by a key of the ring"},
		{"of another ring", stranger.sign(t, claims(tokens.AccessToken)), tokens.ErrUnknownKey, "none has its header"},
		{"no header of ours", "e30" + good[strings.IndexByte(good, '.'):], tokens.ErrInvalid, "its claims or its signature cannot be read"},
		{"no claims of ours", k.resign(t, part(t, good, 0), body), tokens.ErrInvalid, "its claims or its signature cannot be read"},
		{"two parts", "a.b", tokens.ErrInvalid, "not a compact JWS"},
	} {
		if _, err := k.verifier.Verify(test.token, tokens.AccessToken); !errors.Is(err, test.want) || errors.Is(err, tokens.ErrUnknownKey) != errors.Is(test.want, tokens.ErrUnknownKey) || !strings.HasSuffix(err.Error(), test.says) {
			t.Errorf("%s: %v, want one that says %q", test.name, err, test.says)
		}
	}
}

// Invalid claims are not signed.
func TestSignRefuses(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	c := claims("x+jwt")
	if token, err := k.signer.Sign(c); err == nil || token != "" {
		t.Errorf("a token of an unknown type: %v", err)
	}
	long := `{"a":"` + strings.Repeat("x", tokens.MaxCustomBytes-len(`{"a":""}`))
	for own, isFine := range map[string]bool{`{"a":1}`: true, long + `"}`: true, long + `x"}`: false, `{"a":1`: false, `"a":1}`: false, `{}`: false, `x`: false} {
		c := claims(tokens.AccessToken)
		c.Custom = own
		if token, err := k.signer.Sign(c); (err == nil) != isFine || (token != "") != isFine {
			t.Errorf("%.20s: %v", own, err)
		}
	}
	for _, e := range []tokens.SecurityEvent{{SubjectID: func() {}}, {Details: func() {}}} {
		if token, err := k.signer.SignSecurityEvent(e); err == nil || token != nil {
			t.Errorf("an event without JSON: %v", err)
		}
	}
}

func TestSecretIsNeverShown(t *testing.T) {
	t.Parallel()
	const hidden = "correct-horse"
	secret := tokens.Secret(hidden)
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "a", secret, "b", struct{ S tokens.Secret }{secret}, "c", []tokens.Secret{secret})
	encoded, err := json.Marshal(map[string]any{"s": secret})
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		shown += fmt.Sprintf(verb, secret) + fmt.Sprintf(verb, struct{ S tokens.Secret }{secret})
	}
	if strings.Contains(shown, hidden) || strings.Contains(strings.ToLower(shown), fmt.Sprintf("%x", hidden)) {
		t.Errorf("the secret is in %s", shown)
	}
	if string(secret) != hidden {
		t.Error("the secret cannot be handed out")
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	for name, change := range map[string]func(*tokens.Config){
		"no issuer":       func(c *tokens.Config) { c.Issuer = "" },
		"no audience":     func(c *tokens.Config) { c.Audience = "" },
		"one audience":    func(c *tokens.Config) { c.Audience = "https://id.example.com/oauth2/token" },
		"negative leeway": func(c *tokens.Config) { c.Leeway = -1 },
		"long leeway":     func(c *tokens.Config) { c.Leeway = 2 * time.Minute },
		"long issuer":     func(c *tokens.Config) { c.Issuer = strings.Repeat("x", 513) },
		"long audience":   func(c *tokens.Config) { c.Audience = strings.Repeat("x", 513) },
		"long client":     func(c *tokens.Config) { c.ClientID = strings.Repeat("x", 513) },
		"long endpoint":   func(c *tokens.Config) { c.TokenEndpoint = strings.Repeat("x", 513) },
		"long further":    func(c *tokens.Config) { c.AcceptedAudiences = []string{strings.Repeat("x", 513)} },
	} {
		cfg := config()
		change(&cfg)
		if _, err := tokens.NewSigner(k.ring, cfg); err == nil {
			t.Errorf("%s: no error from NewSigner", name)
		}
		if _, err := tokens.NewVerifier(k.ring, cfg); err == nil {
			t.Errorf("%s: no error from NewVerifier", name)
		}
	}
}

// RFC 7009 §2.1: a client need not say of which type its token is.
func TestVerifyAny(t *testing.T) {
	t.Parallel()
	k := setup(t, "HS256")
	for _, typ := range []tokens.Type{tokens.AccessToken, tokens.RefreshToken} {
		c := claims(typ)
		good := k.sign(t, c)
		want := must(k.verifier.Verify(good, typ))(t)
		for name, verify := range map[string]func(string) (tokens.Claims, error){"any": k.verifier.VerifyAny, "issued": k.verifier.VerifyIssued} {
			if got, err := verify(good); err != nil || got != want {
				t.Errorf("%s, %s: %+v, %v", typ, name, got, err)
			}
		}
		c.ExpiresAt = now.Add(-time.Hour)
		if got, err := k.verifier.VerifyAny(k.sign(t, c)); !errors.Is(err, tokens.ErrExpired) || got != (tokens.Claims{Type: typ}) {
			t.Errorf("%s, expired: %+v, %v", typ, got, err)
		}
		body := part(t, good, 1)
		body["nbf"] = now.Add(time.Hour).Unix()
		if got, err := k.verifier.VerifyAny(k.resign(t, part(t, good, 0), body)); !errors.Is(err, tokens.ErrNotValidYet) || got != (tokens.Claims{}) {
			t.Errorf("%s, not valid yet: %+v, %v", typ, got, err)
		}
	}
}

// The issuer, which has the clock that timed a token, compares the times itself.
// Everything else is still required.
func TestVerifyIssued(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	for _, typ := range []tokens.Type{tokens.AccessToken, tokens.RefreshToken} {
		c := claims(typ)
		c.IssuedAt, c.ExpiresAt = now.Add(-48*time.Hour), now.Add(-24*time.Hour)
		expired := k.sign(t, c)
		got, err := k.verifier.VerifyIssued(expired)
		if err != nil || got.Type != typ || got.SessionID != c.SessionID || !got.ExpiresAt.Equal(c.ExpiresAt) {
			t.Errorf("%s: %+v, %v", typ, got, err)
		}
		if typ == tokens.RefreshToken {
			continue // signed with a key that the test does not have
		}
		body := part(t, expired, 1)
		body["nbf"] = now.Add(time.Hour).Unix()
		early := k.resign(t, part(t, expired, 0), body)
		if _, err := k.verifier.VerifyIssued(early); err != nil {
			t.Errorf("%s: not valid yet: %v", typ, err)
		}
		if _, err := k.verifier.Verify(early, typ); !errors.Is(err, tokens.ErrNotValidYet) || errors.Is(err, tokens.ErrExpired) {
			t.Errorf("%s: not valid yet, and expired: %v", typ, err)
		}
		body["iss"] = "https://evil.example"
		for name, token := range map[string]string{"of another issuer": k.resign(t, part(t, expired, 0), body), "changed": expired[:len(expired)-4] + "AAAA"} {
			if got, err := k.verifier.VerifyIssued(token); !errors.Is(err, tokens.ErrInvalid) || errors.Is(err, tokens.ErrExpired) || got != (tokens.Claims{}) {
				t.Errorf("%s, %s: %+v, %v", typ, name, got, err)
			}
		}
	}
}

// A token may be for another audience than the configuration's: its claims say so.
// Only a verifier that accepts that audience too accepts it.
func TestAudiences(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	c := claims(tokens.AccessToken)
	c.Audience = "https://other.example.com"
	token := k.sign(t, c)
	if got, err := k.verifier.Verify(token, tokens.AccessToken); !errors.Is(err, tokens.ErrWrongAudience) || got != (tokens.Claims{}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := k.verifier.VerifyIssued(token); err != nil || got.Audience != c.Audience {
		t.Errorf("%+v, %v", got, err)
	}
	cfg := tokens.Config{Issuer: "https://id.example.com", Audience: "https://new.example.com", Now: func() time.Time { return now }}
	cfg.AcceptedAudiences = []string{c.Audience}
	verifier, err := tokens.NewVerifier(k.ring, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := verifier.Verify(token, tokens.AccessToken); err != nil || got.Audience != c.Audience {
		t.Errorf("%+v, %v", got, err)
	}
	for _, audience := range []string{"", "https://id.example.com/oauth2/token"} {
		cfg.AcceptedAudiences = []string{audience}
		if _, err := tokens.NewVerifier(k.ring, cfg); err == nil {
			t.Errorf("the audience %q may be accepted", audience)
		}
	}
}
