package tokens_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/tokens"
)

func everyContext() tokens.Context {
	return tokens.Context{
		Authentication: &tokens.Authentication{AuthTime: time.Unix(1_772_366_000, 0).UTC(), ACR: "urn:example:gold", AMR: []string{"pwd", "otp"}},
		Actor:          &tokens.Actor{Subject: "support-7", Issuer: "https://staff.example.com", Actor: &tokens.Actor{Subject: "bot"}},
		Cookie:         "__Host-shop",
	}
}

// The claims are those that RFC 9068 and RFC 8693 name, the same whether they come from
// a session's row or from the signer's caller, and every verifier reads them.
func TestContextInTokens(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	c := claims(tokens.AccessToken)
	c.Custom, c.Context = custom(t, `{"abc":1,"role":"editor"}`), everyContext()
	token := k.sign(t, c)
	want := part(t, k.sign(t, claims(tokens.AccessToken)), 1)
	want["abc"], want["role"] = 1.0, "editor"
	want["auth_time"], want["acr"], want["amr"] = 1_772_366_000.0, "urn:example:gold", []any{"pwd", "otp"}
	want["latchkey_cookie"] = "__Host-shop"
	want["act"] = map[string]any{"sub": "support-7", "iss": "https://staff.example.com", "act": map[string]any{"sub": "bot"}}
	if diff := cmp.Diff(want, part(t, token, 1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, verifier := range k.verifiers() {
		got, err := verifier.Verify(token, tokens.AccessToken)
		if err != nil || got.Custom != c.Custom {
			t.Fatalf("%q, %v; want %q", got.Custom, err, c.Custom)
		}
		if diff := cmp.Diff(c.Context, got.Context); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}

	joined := claims(tokens.AccessToken)
	var err error
	if joined.Custom, err = tokens.JoinClaims(c.Context, c.Custom); err != nil {
		t.Fatal(err)
	}
	if again := k.sign(t, joined); again != token {
		t.Errorf("%v, want %v", part(t, again, 1), part(t, token, 1))
	}
	joined.Context = c.Context
	if _, err := k.signer.Sign(joined); err == nil {
		t.Error("signed a context twice")
	}
	refresh := claims(tokens.RefreshToken)
	refresh.Context = c.Context
	if _, has := part(t, k.sign(t, refresh), 1)["acr"]; has {
		t.Error("a refresh token tells how its user authenticated")
	}
}

func TestJoinAndSplit(t *testing.T) {
	t.Parallel()
	every := everyContext()
	for _, context := range []tokens.Context{
		{},
		every,
		{Actor: every.Actor},
		{Authentication: every.Authentication},
		{Authentication: &tokens.Authentication{AuthTime: time.Unix(0, 0).UTC()}},
		{Authentication: &tokens.Authentication{ACR: "!~"}},
		{Authentication: &tokens.Authentication{AMR: []string{"pwd"}}},
		{Actor: &tokens.Actor{Subject: "\"é\x01"}},
		{Cookie: "__Host-shop"},
		{Cookie: "a&<'", Actor: every.Actor},
	} {
		for _, own := range []string{"", `{"acc":1}`, `{"a":{"act":{"sub":"x"}},"id":12345678901234567890123}`} {
			form, err := tokens.JoinClaims(context, own)
			if err != nil {
				t.Fatal(err)
			}
			got, rest, err := tokens.SplitClaims(form)
			if err != nil || rest != own {
				t.Errorf("%s: %q, %v; want %q", form, rest, err, own)
			}
			if diff := cmp.Diff(context, got); diff != "" {
				t.Errorf("%s: (-want +got):\n%s", form, diff)
			}
		}
	}
	if form, err := tokens.JoinClaims(tokens.Context{Authentication: &tokens.Authentication{}}, ""); err != nil || form != "" {
		t.Errorf("nothing that is known becomes %q, %v", form, err)
	}
	if _, _, err := tokens.SplitClaims(`{"acr":`); err == nil {
		t.Error("half a form was parted")
	}
}

// A session's own claim is never taken for one of these.
func TestOwnClaimsAreNoContext(t *testing.T) {
	t.Parallel()
	for name := range part(t, setup(t, "EdDSA").sign(t, tokens.Claims{Type: tokens.AccessToken, Context: everyContext()}), 1) {
		for _, spelled := range []string{name, strings.ToUpper(name), strings.ReplaceAll(name, "_", "-")} {
			if _, err := tokens.CustomClaims([]byte(`{"` + spelled + `":1}`)); err == nil {
				t.Errorf("%s is taken", spelled)
			}
		}
	}
}

func TestContextRefusals(t *testing.T) {
	t.Parallel()
	actors := func(n int, a tokens.Actor) *tokens.Actor {
		var chain *tokens.Actor
		for range n {
			next := a
			next.Actor = chain
			chain = &next
		}
		return chain
	}
	word := func(n int) string { return strings.Repeat("x", n) }
	for pointer, refused := range map[string][]tokens.Context{
		"/auth_time": {
			{Authentication: &tokens.Authentication{AuthTime: time.Unix(-1, 0)}},
			{Authentication: &tokens.Authentication{AuthTime: time.Unix(253_402_300_800, 0)}},
		},
		"/acr": {
			{Authentication: &tokens.Authentication{ACR: word(256)}},
			{Authentication: &tokens.Authentication{ACR: "a b"}},
			{Authentication: &tokens.Authentication{ACR: `a"`}},
			{Authentication: &tokens.Authentication{ACR: `a\`}},
			{Authentication: &tokens.Authentication{ACR: "é"}},
			{Authentication: &tokens.Authentication{ACR: "\x7f"}},
		},
		"/amr":                 {{Authentication: &tokens.Authentication{AMR: make([]string, 17)}}},
		"/amr/0":               {{Authentication: &tokens.Authentication{AMR: []string{""}}}},
		"/amr/1":               {{Authentication: &tokens.Authentication{AMR: []string{"pwd", word(65)}}}, {Authentication: &tokens.Authentication{AMR: []string{"pwd", "o p"}}}},
		"/act/sub":             {{Actor: &tokens.Actor{}}, {Actor: &tokens.Actor{Subject: word(256)}}, {Actor: &tokens.Actor{Subject: "a\x00"}}, {Actor: &tokens.Actor{Subject: "\xff"}}},
		"/act/iss":             {{Actor: &tokens.Actor{Subject: "a", Issuer: word(256)}}},
		"/act/act/sub":         {{Actor: &tokens.Actor{Subject: "a", Actor: &tokens.Actor{Issuer: "b"}}}},
		"/act/act/act/act/act": {{Actor: actors(5, tokens.Actor{Subject: "a"})}},
		"/cookie":              {{Cookie: word(129)}, {Cookie: "a b"}, {Cookie: `a"`}, {Cookie: "é"}},
		"/act":                 {{Actor: actors(4, tokens.Actor{Subject: word(255), Issuer: word(255)})}},
	} {
		for _, context := range refused {
			_, err := tokens.JoinClaims(context, "")
			if e, ok := errors.AsType[*tokens.CustomError](err); !ok || e.Pointer != pointer {
				t.Errorf("%v, want one about %s", err, pointer)
			}
			c := claims(tokens.AccessToken)
			c.Context = context
			if _, err := setup(t, "EdDSA").signer.Sign(c); err == nil {
				t.Errorf("signed an invalid %s", pointer)
			}
		}
	}
}

// An error says what is allowed.
func TestContextProblems(t *testing.T) {
	t.Parallel()
	const word = "printable ASCII characters other than space, quotation mark and backslash"
	for want, context := range map[string]tokens.Context{
		"/acr: not a string of 1 to 255 " + word:    {Authentication: &tokens.Authentication{ACR: " "}},
		"/amr/0: not a string of 1 to 64 " + word:   {Authentication: &tokens.Authentication{AMR: []string{""}}},
		"/cookie: not a string of 1 to 128 " + word: {Cookie: " "},
		"/act: longer than 1024 bytes":              {Actor: &tokens.Actor{Subject: strings.Repeat("\x01", 200)}},
		"/act/sub: missing: an actor has a subject": {Actor: &tokens.Actor{}},
	} {
		if _, err := tokens.JoinClaims(context, ""); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Actors take up to 1024 bytes as JSON.
func TestLongestActors(t *testing.T) {
	t.Parallel()
	for more, isFine := range map[int]bool{0: true, 1: false} {
		chain := tokens.Actor{Subject: strings.Repeat("s", 255), Issuer: strings.Repeat("i", 255), Actor: &tokens.Actor{Subject: strings.Repeat("s", 255), Issuer: "i"}}
		text, err := json.Marshal(chain)
		if err != nil {
			t.Fatal(err)
		}
		chain.Actor.Issuer = strings.Repeat("i", 1+1024-len(text)+more)
		if _, err := tokens.JoinClaims(tokens.Context{Actor: &chain}, ""); (err == nil) != isFine {
			t.Errorf("%d bytes: %v", 1024+more, err)
		}
	}
}

// The form in which a session's row stores them: each release reads what another has
// written.
func TestFormOfContexts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		context   tokens.Context
		own, want string
	}{
		{tokens.Context{Cookie: "c"}, "", "{\"latchkey_cookie\":\"c\"\n}"},
		{tokens.Context{Cookie: "c"}, `{"a":1}`, "{\"latchkey_cookie\":\"c\"\n,\"a\":1}"},
		{tokens.Context{Authentication: &tokens.Authentication{ACR: "gold"}}, "", "{\"acr\":\"gold\"\n}"},
		{tokens.Context{Authentication: &tokens.Authentication{AMR: []string{"pwd"}}}, `{"a":1}`, "{\"amr\":[\"pwd\"]\n,\"a\":1}"},
		{tokens.Context{Authentication: &tokens.Authentication{AuthTime: time.Unix(0, 0)}}, "", "{\"auth_time\":0\n}"},
		{tokens.Context{Actor: &tokens.Actor{Subject: "s"}}, "", "{\"act\":{\"sub\":\"s\"}\n}"},
		{everyContext(), `{"a":1}`, `{"acr":"urn:example:gold","act":{"sub":"support-7","iss":"https://staff.example.com","act":{"sub":"bot"}},"amr":["pwd","otp"],` +
			`"auth_time":1772366000,"latchkey_cookie":"__Host-shop"` + "\n" + `,"a":1}`},
	} {
		if got, err := tokens.JoinClaims(test.context, test.own); err != nil || got != test.want {
			t.Errorf("%q, %v, want %q", got, err, test.want)
		}
	}
}

// longestContext has every member at its maximum length.
func longestContext() tokens.Context {
	every := tokens.Context{
		Authentication: &tokens.Authentication{AuthTime: time.Unix(253_402_300_799, 0), ACR: strings.Repeat("x", 255)},
		Actor:          &tokens.Actor{Subject: strings.Repeat("s", 255), Issuer: strings.Repeat("i", 255), Actor: &tokens.Actor{Subject: strings.Repeat("s", 255), Issuer: strings.Repeat("i", 214)}},
		Cookie:         strings.Repeat("c", 128),
	}
	for range 16 {
		every.Authentication.AMR = append(every.Authentication.AMR, strings.Repeat("m", 64))
	}
	return every
}

// The longest context fits by itself, and together with claims it takes no more room
// than claims alone: an earlier release signs the row as well.
func TestLongestContext(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	every := longestContext()
	alone, err := tokens.JoinClaims(every, "")
	if err != nil {
		t.Fatal(err)
	}
	room := tokens.MaxCustomBytes - len(alone) - len(`,"a":""`)
	fits := custom(t, `{"a":"`+strings.Repeat("x", room)+`"}`)
	c := claims(tokens.AccessToken)
	if c.Custom, err = tokens.JoinClaims(every, fits); err != nil || len(c.Custom) != tokens.MaxCustomBytes {
		t.Fatalf("%d bytes, %v", len(c.Custom), err)
	}
	k.sign(t, c)
	_, err = tokens.JoinClaims(every, custom(t, `{"a":"`+strings.Repeat("x", room+1)+`"}`))
	if e, ok := errors.AsType[*tokens.CustomError](err); !ok || e.Pointer != "" || !strings.Contains(e.Problem, "4096 bytes together with") {
		t.Error(err)
	}
}

// Whatever a row contains is split without an error only if joining it again gives the
// same.
func FuzzSplitClaims(f *testing.F) {
	for _, seed := range []string{
		`{"acr":"a","act":{"sub":"b"},"amr":["c"],"auth_time":1,"role":"d"}`, `{"act":{"sub":"b","act":{"sub":"c","iss":"d"}}}`, `{"auth_time":-1}`, `{"acr":"a","acr":"b"}`, `{"acr":null}`, `{"amr":[1]}`, "{\"latchkey_cookie\":\"a\"\n}", "{\"latchkey_cookie\":\"a\"\n,\"b\":1}", `{"latchkey_cookie":"a"}`, `{"latchkey_cookie":"\u0061"}`, `{"role":"x"}`, ``,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, form string) {
		context, own, err := tokens.SplitClaims(form)
		if err != nil {
			return
		}
		if own != "" {
			if formed, err := tokens.CustomClaims([]byte(own)); err != nil || formed != own {
				return // no row has it
			}
		}
		joined, err := tokens.JoinClaims(context, own)
		if err != nil {
			return
		}
		again, rest, err := tokens.SplitClaims(joined)
		if err != nil || rest != own || !cmp.Equal(again, context) {
			t.Errorf("%q: %v and %q became %v and %q, %v", form, context, own, again, rest, err)
		}
		if joined != "" && !json.Valid([]byte(joined)) {
			t.Errorf("%q", joined)
		}
	})
}
