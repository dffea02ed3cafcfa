package tokens_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestCustomClaims(t *testing.T) {
	t.Parallel()
	deepest := strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 32)
	deepArray := `{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + "}"
	for text, want := range map[string]string{
		`{}`:             ``,
		` { } `:          ``,
		`{"role":"sub"}`: `{"role":"sub"}`,
		`{}` + strings.Repeat(" ", 16*tokens.MaxCustomBytes-len(`{}`)): ``,
		deepest:                                             deepest,
		deepArray:                                           deepArray,
		`{"b":1.50,"a":[1e3,null]}`:                         `{"a":[1e3,null],"b":1.50}`,
		`{"id":12345678901234567890123}`:                    `{"id":12345678901234567890123}`,
		`{"\u0072ole":"\u00e9"}`:                            `{"role":"é"}`,
		`{"scope":"openid orders:read"}`:                    `{"scope":"openid orders:read"}`,
		`{"a":[-0,1e308,1e-999]}`:                           `{"a":[-0,1e308,1e-999]}`,
		`{"b":{"d":1,"c":2},"a":[{"f":{},"e":[]}]}`:         `{"a":[{"e":[],"f":{}}],"b":{"c":2,"d":1}}`,
		`{"a!":1,"a":2,"":3}`:                               `{"":3,"a":2,"a!":1}`,
		`{"\uff5e":1,"\ud83d\ude00":2,"\"":3,"\t":4,"[":5}`: `{"\t":4,"\"":3,"[":5,"` + "\U0001F600" + `":2,"` + "\uff5e" + `":1}`, // by UTF-16
		`{"role":1,"Role":2,"ROLE":{"Scope":"x"},"scopes":1,"cope":2}`: `{"ROLE":{"Scope":"x"},"Role":2,"cope":2,"role":1,"scopes":1}`, // RFC 7519 §4: names are compared to the letter
		`{"ac\u0173":1,"s\u0175b":2,"\u212bud":3}`:                     `{"acų":1,"sŵb":2,"` + "\u212b" + `ud":3}`,                     // they fold to no ASCII letter
		`{"proto":1,"a":{"__proto__":2}}`:                              `{"a":{"__proto__":2},"proto":1}`,
		`{"https://example.com/sub":1,"roles":{"sub":2}}`:              `{"https://example.com/sub":1,"roles":{"sub":2}}`,
	} {
		if got, err := tokens.CustomClaims([]byte(text)); err != nil || got != want {
			t.Errorf("%s became %q, %v; want %q", text, got, err, want)
		}
	}
}

// A claim never passes for one of ours, whichever names a JSON parser takes for the
// same.
func TestCustomClaimsRefusals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]tokens.CustomError{
		``:                                   {Problem: "not valid JSON"},
		`[]`:                                 {Problem: "not a JSON object"},
		`{"a":1} {}`:                         {Problem: "not valid JSON"},
		`{"a":"` + "\xff" + `"}`:             {Problem: "not valid JSON"},
		`{"a":["\u0000"]}`:                   {Pointer: "/a/0", Problem: "PostgreSQL"},
		`{"a\u0000":1}`:                      {Pointer: "/a\x00", Problem: "PostgreSQL"},
		`{"a":1,"\u0061":2}`:                 {Pointer: "/a", Problem: "given twice"},
		`{"a":{"b":1,"b":2}}`:                {Pointer: "/a/b", Problem: "given twice"},
		`{"c":[{"b/":1,"a":2,"\u0062/":2}]}`: {Pointer: "/c/0/b~1", Problem: "given twice"},
		`{"a":[],"b":{"c":1},"a":0}`:         {Pointer: "/a", Problem: "given twice"},
		`{"a":1`:                             {Problem: "not valid JSON"},
		`{"a":1,}`:                           {Problem: "not valid JSON"},
		`{"a":[1}`:                           {Problem: "not valid JSON"},
		`{1:1}`:                              {Problem: "not valid JSON"},
		`null`:                               {Problem: "not a JSON object"},
		`{"a":[` + strings.Repeat("[],", tokens.MaxCustomBytes/3) + `[]]}`: {Problem: "longer than 4096 bytes"},
		`{"sub":"root"}`:                 {Pointer: "/sub", Problem: "reserved"},
		`{"role":"a","s\u0075b":"root"}`: {Pointer: "/sub", Problem: "reserved"},
		`{"SUB":"root"}`:                 {Pointer: "/SUB", Problem: "reserved"},
		`{"ſub":"root"}`:                 {Pointer: "/ſub", Problem: "reserved"},
		`{"clientId":"x"}`:               {Pointer: "/clientId", Problem: "reserved"},
		`{"\u0131ss":"x"}`:               {Pointer: "/\u0131ss", Problem: "reserved"}, // Java's equalsIgnoreCase
		`{"\u0130at":1}`:                 {Pointer: "/\u0130at", Problem: "reserved"},
		`{"Auth-Time":1}`:                {Pointer: "/Auth-Time", Problem: "acr, act, amr, aud, auth_time, client_id, cnf, exp, iat, iss, jti, latchkey_cookie, latchkey_era, nbf, sid, sub, typ"},
		`{"s-u_b":1}`:                    {Pointer: "/s-u_b", Problem: "reserved"},
		`{"\u017fcope":"a"}`:             {Pointer: "/\u017fcope", Problem: "spelled so"},
		`{"scope":"a","Scope":"b"}`:      {Pointer: "/Scope", Problem: "spelled so"},
		`{"s_cope":"a"}`:                 {Pointer: "/s_cope", Problem: "spelled so"},
		`{"__proto__":{"act":{}}}`:       {Pointer: "/__proto__", Problem: "reserved"},
		`{"a":1e309}`:                    {Pointer: "/a", Problem: "64-bit"},
		`{"a":{"b":[0,-1e999]}}`:         {Pointer: "/a/b/1", Problem: "64-bit"},
		`{"a":"\ud800"}`:                 {Problem: "not valid JSON"},
		`{"a":NaN}`:                      {Problem: "not valid JSON"},
		`{"scope":["a"]}`:                {Pointer: "/scope", Problem: "not a scope"},
		`{"scope":123}`:                  {Pointer: "/scope", Problem: "not a scope"},
		`{"scope":true}`:                 {Pointer: "/scope", Problem: "not a scope"},
		`{"scope":null}`:                 {Pointer: "/scope", Problem: "not a scope"},
		`{"scope":" a"}`:                 {Pointer: "/scope", Problem: "not a scope"},
		`{"b":1,"a":2,}`:                 {Problem: "not valid JSON (byte 12)"},
		`{"b":1,"a":2]`:                  {Problem: "not valid JSON (byte 12)"},
		`{"a":[` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `]}`: {Problem: "nested deeper than 32 levels"},
		`{"scope":""}`:     {Pointer: "/scope", Problem: "not a scope"},
		`{"scope":"a  b"}`: {Pointer: "/scope", Problem: "not a scope"},
		`{"scope":"a\"b"}`: {Pointer: "/scope", Problem: "not a scope"},
		`{"a":"` + strings.Repeat("x", tokens.MaxCustomBytes) + `"}`:                   {Problem: "longer than 4096 bytes"},
		`{"a":"` + strings.Repeat("x", tokens.MaxCustomBytes-len(`{"a":""}`)+1) + `"}`: {Problem: "longer than 4096 bytes"},
		`{}` + strings.Repeat(" ", 16*tokens.MaxCustomBytes-len(`{}`)+1):               {Problem: "longer than 4096 bytes"},
		`{"a":"` + strings.Repeat("x", 100*tokens.MaxCustomBytes) + `"}`:               {Problem: "longer than 4096 bytes"},
		strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33):                    {Problem: "nested deeper than 32 levels"},
		strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000):            {Problem: "longer than 4096 bytes"},
		`{"a":` + strings.Repeat(`[`, 1500) + strings.Repeat("]", 1500) + `,"b":1}`:    {Problem: "nested deeper than 32 levels"},
	} {
		_, err := tokens.CustomClaims([]byte(text))
		got, ok := errors.AsType[*tokens.CustomError](err)
		if !ok || got.Pointer != want.Pointer || !strings.Contains(got.Problem, want.Problem) || !strings.HasPrefix(err.Error(), want.Pointer) {
			t.Errorf("%.60s: %v, want %v", text, err, want)
		}
	}
	for _, name := range tokens.ReservedClaims() {
		if _, err := tokens.CustomClaims([]byte(`{"` + strings.ToUpper(name) + `":1}`)); err == nil {
			t.Errorf("%s is taken in capitals", name)
		}
	}
}

// An error names the member, and repeats no value.
func TestTextOfCustomErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"sub":"root"}`:     "/sub: reserved, in whatever spelling, as are " + strings.Join(tokens.ReservedClaims(), ", "),
		`[]`:                 "not a JSON object",
		`{"a":"secret","b"}`: "not valid JSON (byte 17)",
		`{"a":1,}`:           "not valid JSON (byte 6)",
		`{"a":[1,]}`:         "not valid JSON (byte 7)",
		`{"a":[1}`:           "not valid JSON (byte 7)",
		`{"a":[0,1e309]}`:    "/a/1: a number outside the range of 64-bit floating point, which is up to 1.7e308",
	} {
		if _, err := tokens.CustomClaims([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// A token without claims of the session's own has an empty object of them.
func TestDecode(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]struct {
		role, scope string
		isFine      bool
	}{"": {"", "", true}, `{"role":"editor","scope":"a b"}`: {"editor", "a b", true}, `{"role":1,"scope":1}`: {"", "", false}, `{"ascope":"a"}`: {"", "", true}} {
		c := tokens.Claims{Custom: form}
		var own struct {
			Role string `json:"role"`
		}
		if err := c.Decode(&own); (err == nil) != want.isFine || own.Role != want.role || c.Scope() != want.scope {
			t.Errorf("%q: %+v, %q, %v", form, own, c.Scope(), err)
		}
	}
}

// Every claim of ours is reserved: adding one means reserving its name.
func TestOurClaimsAreReserved(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	c := claims(tokens.AccessToken)
	c.KeyThumbprint = strings.Repeat("A", 43)
	for name := range part(t, k.sign(t, c), 1) {
		if _, err := tokens.CustomClaims([]byte(`{"` + name + `":1}`)); err == nil {
			t.Errorf("%s is not reserved", name)
		}
	}
}

func TestCustomClaimsInTokens(t *testing.T) {
	t.Parallel()
	k := setup(t, "EdDSA")
	c := claims(tokens.AccessToken)
	c.Custom = custom(t, `{"scope":"orders:read","role":"editor","id":12345678901234567890123}`)
	token := k.sign(t, c)
	want := part(t, k.sign(t, claims(tokens.AccessToken)), 1)
	want["scope"], want["role"], want["id"] = "orders:read", "editor", 12345678901234567890123.0
	if diff := cmp.Diff(want, part(t, token, 1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, verifier := range k.verifiers() {
		for range 2 { // the second time it is remembered
			got, err := verifier.Verify(token, tokens.AccessToken)
			if err != nil || got.Custom != c.Custom || got.Scope() != "orders:read" {
				t.Fatalf("%q, %v; want %q", got.Custom, err, c.Custom)
			}
			var own struct {
				Role string          `json:"role"`
				ID   json.RawMessage `json:"id"`
			}
			if err := got.Decode(&own); err != nil || own.Role != "editor" || string(own.ID) != "12345678901234567890123" {
				t.Errorf("%v, %v", own, err)
			}
		}
	}
	refresh := claims(tokens.RefreshToken)
	refresh.Custom = c.Custom
	if _, has := part(t, k.sign(t, refresh), 1)["role"]; has {
		t.Error("a refresh token has the session's own claims")
	}
	c.Custom = `"sub":"root"}`
	if _, err := k.signer.Sign(c); err == nil {
		t.Error("signed what CustomClaims does not return")
	}
}

// A token is never too long to be signed: its session would end with an error.
func TestLongestToken(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 512)
	cfg := config()
	cfg.Issuer, cfg.Audience, cfg.ClientID, cfg.TokenEndpoint = long, "a"+long[1:], long, "e"+long[1:]
	jwk, _, err := tokens.GenerateKey("RS256")
	if err != nil {
		t.Fatal(err)
	}
	k := kitFor(t, cfg, string(jwk))
	c := claims(tokens.AccessToken)
	c.Subject, c.KeyThumbprint, c.Generation = strings.Repeat("\x01", 255), strings.Repeat("A", 43), 1<<62
	alone := custom(t, `{"a":"`+strings.Repeat("x", tokens.MaxCustomBytes-len(`{"a":""}`))+`"}`)
	context, err := tokens.JoinClaims(longestContext(), "")
	if err != nil {
		t.Fatal(err)
	}
	beside, err := tokens.JoinClaims(longestContext(), custom(t, `{"a":"`+strings.Repeat("x", tokens.MaxCustomBytes-len(context)-len(`,"a":""`))+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	// Everything that a token may contain, in each of the ways in which a row stores
	// it.
	for _, c.Custom = range []string{alone, beside} {
		token := k.sign(t, c)
		if _, err := k.verifier.Verify(token, tokens.AccessToken); err != nil || len(c.Custom) != tokens.MaxCustomBytes {
			t.Errorf("a token of %d bytes, with %d of claims: %v", len(token), len(c.Custom), err)
		}
		// RSA signatures of 4096 bits are longer by 256 bytes.
		if room := tokens.MaxTokenBytes - len(token); room < 342 {
			t.Errorf("%d bytes are left", room)
		}
	}
	cfg.Audience = strings.Repeat("\x01", 100)
	if _, err := tokens.NewSigner(k.ring, cfg); err == nil {
		t.Error("an audience may take more than 512 bytes when it is escaped")
	}
}

func custom(t *testing.T, text string) string {
	t.Helper()
	form, err := tokens.CustomClaims([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return form
}

// Accepted claims are the same object to every parser: their members are those of the
// text, and none is ours.
func FuzzCustomClaims(f *testing.F) {
	for _, seed := range []string{
		`{"role":"a","scope":"b c"}`, `{"sub":1}`, `{"S\u0055B":1}`, `{"a":1,"a":2}`, `{"client-id":{}}`, `{"a":1.50e3}`, `{"a":"\ud800"}`, `{"a":1e999}`, `{"__proto__":{"sub":1}}`, ` {} `, `[{}]`, `{"a":{"exp":[]}}`,
		`{"scope":"a","Scope":"b"}`, `{"b":1,"a":{"d":[],"c":{}}}`, `{"\uff5e":1,"\ud83d\ude00":2,"\"":3}`, `{"b":1,"a":2,"b":3}`,
	} {
		f.Add(seed)
	}
	type lax struct { // encoding/json compares names without regard to case
		Iss      any `json:"iss"`
		Sub      any `json:"sub"`
		Aud      any `json:"aud"`
		ClientID any `json:"client_id"`
		Exp      any `json:"exp"`
		Nbf      any `json:"nbf"`
		Iat      any `json:"iat"`
		Jti      any `json:"jti"`
		Sid      any `json:"sid"`
		Cnf      any `json:"cnf"`
		Typ      any `json:"typ"`
		AuthTime any `json:"auth_time"`
		Acr      any `json:"acr"`
		Amr      any `json:"amr"`
		Act      any `json:"act"`
		Scope    any `json:"scope"`
	}
	f.Fuzz(func(t *testing.T, text string) {
		form, err := tokens.CustomClaims([]byte(text))
		if again, other := tokens.CustomClaims([]byte(text)); again != form || (err == nil) != (other == nil) {
			t.Errorf("%q, then %q", form, again) // nothing is left over from the text before
		}
		if err != nil {
			if _, ok := errors.AsType[*tokens.CustomError](err); !ok || form != "" {
				t.Errorf("%q, %v", form, err)
			}
			return
		}
		if form == "" {
			form = "{}"
		}
		var sent, kept map[string]any
		if json.Unmarshal([]byte(text), &sent) != nil || json.Unmarshal([]byte(form), &kept) != nil || !cmp.Equal(sent, kept) {
			t.Errorf("%q became %q", text, form)
		}
		// The form is that of RFC 8785, except for numbers.
		want := jsontext.Value(text)
		if err := want.Format(jsontext.ReorderRawObjects(true)); err != nil || string(want) != form {
			t.Errorf("%q became %q, want %q (%v)", text, form, want, err)
		}
		var ours lax
		if err := json.Unmarshal([]byte(form), &ours); err != nil {
			t.Errorf("%q: %v", form, err)
		}
		if ours.Scope != kept["scope"] {
			t.Errorf("%q has another scope: %v", form, ours.Scope)
		}
		if ours.Scope = nil; ours != (lax{}) {
			t.Errorf("%q has a claim of ours: %v, %v", form, ours, err)
		}
		again, err := tokens.CustomClaims([]byte(form))
		if err != nil || again != form && form != "{}" {
			t.Errorf("the form %q became %q, %v", form, again, err)
		}
	})
}
