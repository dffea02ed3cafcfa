package tokens_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// RFC 7519 §4.1.3: an aud that is a list. A verifier that accepts one of its names accepts
// the token.
func TestSeveralAudiences(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	c := claims(tokens.AccessToken)
	c.Audience, c.ClientID = tokens.Audience("https://mcp.example.com", "reports"), "agent"
	token := k.sign(t, c)
	body := part(t, token, 1)
	if diff := cmp.Diff([]any{[]any{"https://mcp.example.com", "reports"}, "agent"}, []any{body["aud"], body["client_id"]}); diff != "" {
		t.Error(diff)
	}
	if got, err := k.verifier.Verify(token, tokens.AccessToken); !errors.Is(err, tokens.ErrWrongAudience) || got != (tokens.Claims{}) {
		t.Errorf("for another subject: %+v, %v", got, err)
	}
	for _, accepted := range []string{"https://mcp.example.com", "reports", c.Audience, tokens.Audience("billing", "reports")} {
		cfg := config()
		cfg.Audience = accepted
		verifier, err := tokens.NewVerifier(k.ring, cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second is remembered
			got, err := verifier.Verify(token, tokens.AccessToken)
			if err != nil || got.Audience != c.Audience || got.ClientID != c.ClientID {
				t.Errorf("for %s: %+v, %v", accepted, got, err)
			}
		}
	}
	if diff := cmp.Diff([]string{"https://mcp.example.com", "reports"}, tokens.Audiences(c.Audience)); diff != "" {
		t.Error(diff)
	}
}

// A token of another client has the usual audience. A refresh token is for the token
// endpoint, whatever the claims say.
func TestAnotherClient(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	c := claims(tokens.AccessToken)
	c.ClientID = "agent"
	body := part(t, k.sign(t, c), 1)
	if diff := cmp.Diff([]any{"https://api.example.com", "agent"}, []any{body["aud"], body["client_id"]}); diff != "" {
		t.Error(diff)
	}
	refresh := claims(tokens.RefreshToken)
	usual := k.sign(t, refresh)
	refresh.Audience, refresh.ClientID = "reports", "agent"
	if token := k.sign(t, refresh); token != usual {
		t.Errorf("%v, want %v", part(t, token, 1), part(t, usual, 1))
	}
}

// Lists that we never write, signed with our key.
func TestHostileAudiences(t *testing.T) {
	t.Parallel()
	k := setup(t, "HS256")
	for _, typ := range []tokens.Type{tokens.AccessToken, tokens.RefreshToken} {
		good := k.sign(t, claims(typ))
		wanted := part(t, good, 1)["aud"]
		for name, aud := range map[string]any{
			"of one": []any{wanted}, "twice the same": []any{wanted, wanted}, "with nothing": []any{wanted, ""}, "with null": []any{wanted, nil},
			"with a number": []any{wanted, 1}, "with a list": []any{wanted, []any{wanted}}, "with the token endpoint": []any{"https://api.example.com", "https://id.example.com/oauth2/token"},
			"in a string": `["` + fmt.Sprint(wanted) + `","x"]`,
		} {
			body := part(t, good, 1)
			body["aud"] = aud
			wantInvalid(t, k, string(typ)+": "+name, k.resign(t, part(t, good, 0), body))
		}
	}
	body := part(t, k.sign(t, claims(tokens.RefreshToken)), 1)
	body["aud"] = []any{body["aud"], "https://api.example.com"}
	wantInvalid(t, k, "a list in a refresh token", k.resign(t, part(t, k.sign(t, claims(tokens.RefreshToken)), 0), body))
}

func TestAudiencesThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, audience := range []string{
		`["a"]`, `["a","a"]`, `["a","b",""]`, `["a", "b"]`, `["a","https://id.example.com/oauth2/token"]`, `["a","b`, `["a",1,"b"]`,
		tokens.Audience("a", strings.Repeat("b", 512)),
	} {
		cfg := config()
		cfg.Audience = audience
		if err := cfg.Check(); (err == nil) != (audience == `["a","b`) {
			t.Errorf("%s: %v", audience, err)
		}
	}
}

// A single name may look like half a list. It is written as a string all the same.
func TestAudienceThatIsNearlyAList(t *testing.T) {
	t.Parallel()
	for _, name := range []string{`x"]`, `["x`, `[]`, `[1]`, `null`} {
		cfg := config()
		cfg.Audience = name
		k := kitFor(t, cfg, setup(t, "EdDSA").jwk)
		token := k.sign(t, claims(tokens.AccessToken))
		if aud := part(t, token, 1)["aud"]; aud != name {
			t.Errorf("%s is written as %v", name, aud)
		}
		if got, err := k.verifier.Verify(token, tokens.AccessToken); err != nil || got.Audience != name {
			t.Errorf("%s: %q, %v", name, got.Audience, err)
		}
		if diff := cmp.Diff([]string{name}, tokens.Audiences(name)); diff != "" {
			t.Error(diff)
		}
	}
}

// An aud in a form that we never write does not count as another party's audience, which the issuer
// would accept; nor does it count as the text that it resembles.
func TestAudienceInAnotherForm(t *testing.T) {
	t.Parallel()
	k := setup(t, "HS256")
	good := k.sign(t, claims(tokens.AccessToken))
	wanted := part(t, good, 1)["aud"]
	for _, aud := range []any{
		nil, "", 1, true,
		map[string]any{"aud": wanted},
		[]any{},
		[]any{wanted},
		[]any{wanted, wanted},
		[]any{wanted, ""},
		[]any{wanted, 1},
		[]any{wanted, nil},
		`["` + fmt.Sprint(wanted) + `","x"]`,
	} {
		body := part(t, good, 1)
		body["aud"] = aud
		token := k.resign(t, part(t, good, 0), body)
		for name, verify := range map[string]func(string) (tokens.Claims, error){"any": k.verifier.VerifyAny, "issued": k.verifier.VerifyIssued} {
			if got, err := verify(token); !errors.Is(err, tokens.ErrInvalid) || errors.Is(err, tokens.ErrWrongAudience) || got != (tokens.Claims{}) {
				t.Errorf("aud %v, %s: %+v, %v", aud, name, got, err)
			}
		}
	}
	for text, aud := range map[string]any{"1": 1, "true": true, "null": nil} {
		cfg := config()
		cfg.Audience = text
		k := kitFor(t, cfg, k.jwk)
		body := part(t, good, 1)
		if body["aud"] = text; aud != text {
			if _, err := k.verifier.Verify(k.resign(t, part(t, good, 0), body), tokens.AccessToken); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
		body["aud"] = aud
		wantInvalid(t, k, "not the text "+text, k.resign(t, part(t, good, 0), body))
	}
}
