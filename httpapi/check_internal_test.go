package httpapi

import (
	"slices"
	"testing"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// A gateway's requirements end where its client's own path begins, which does not change them.
func TestRequirements(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		requirements
		code
		parameter string
	}{
		"/v1/check": {}, "/v1/check/": {}, "/v1/check/path": {}, "/v1/check/path/require/scope=a": {},
		"/v1/check/require/scope=a":                        {requirements: requirements{scopes: []string{"a"}}},
		"/v1/check/require/scope=a+b&scope=c%2Fd":          {requirements: requirements{scopes: []string{"a", "b", "c/d"}}},
		"/v1/check/require/audience=a+b":                   {requirements: requirements{audiences: []string{"a b"}}},
		"/v1/check/require/scope=a&audience=b/x/scope=c":   {requirements: requirements{scopes: []string{"a"}, audiences: []string{"b"}}},
		"/v1/check/require/scope=a//x":                     {requirements: requirements{scopes: []string{"a"}}},
		"/v1/check/require/audience=urn:":                  {requirements: requirements{audiences: []string{"urn:"}}},
		"/v1/check/require/audience=urn:/x":                {requirements: requirements{audiences: []string{"urn:"}}},
		"/v1/check/require/audience=https:%2F%2Fa.example": {requirements: requirements{audiences: []string{"https://a.example"}}},
		"/v1/check/require/audience=https://a.example":     {code: codeInvalidParameter, parameter: "audience"},
		"/v1/check/require/scope=+":                        {code: codeInvalidParameter, parameter: "scope"},
		"/v1/check/require/a=b":                            {code: codeUnknownParameter, parameter: "a"},
		"/v1/check/require/%ff=b":                          {code: codeUnknownParameter, parameter: "�"},
		"/v1/check/require":                                {code: codeInvalidParameter, parameter: "require"},
		"/v1/check/require/":                               {code: codeInvalidParameter, parameter: "require"},
		"/v1/check/require/scope=a%zz":                     {code: codeInvalidParameter, parameter: "require"},
		"/v1/check/require/scope=a&%zz":                    {code: codeInvalidParameter, parameter: "require"},
		"/v1/check/requires/scope=a":                       {code: codeInvalidParameter, parameter: "require"},
		"/v1/check/paths":                                  {code: codeInvalidParameter, parameter: "require"},
		"/v1/check/x":                                      {code: codeInvalidParameter, parameter: "require"},
	} {
		got, err := parseRequirements(path)
		p := asProblem(t, err)
		if !slices.Equal(got.scopes, want.scopes) || !slices.Equal(got.audiences, want.audiences) || p.code != want.code || p.parameter != want.parameter {
			t.Errorf("%s: %+v, %+v", path, got, p)
		}
	}
}

// All that is required must be there, word by word.
func TestRequirementsOfAToken(t *testing.T) {
	t.Parallel()
	claims := tokens.Claims{Audience: `["a","b"]`, Custom: `{"scope":"read write"}`}
	for want, all := range map[code][]requirements{
		"": {
			{}, {scopes: []string{"read"}}, {scopes: []string{"write", "read"}}, {audiences: []string{"b"}}, {scopes: []string{"read"}, audiences: []string{"b", "a"}},
		},
		codeInsufficientScope: {
			{scopes: []string{"rea"}}, {scopes: []string{"read write"}}, {scopes: []string{"read", "admin"}}, {scopes: []string{"admin", "read"}}, {scopes: []string{"admin"}, audiences: []string{"c"}},
		},
		codeWrongAudience: {
			{audiences: []string{"c"}}, {audiences: []string{"a", "c"}}, {audiences: []string{"c", "a"}}, {scopes: []string{"read"}, audiences: []string{"a b"}},
		},
	} {
		for _, required := range all {
			if got := codeOf(t, required.check(claims)); got != want {
				t.Errorf("%+v: %q, want %q", required, got, want)
			}
		}
	}
}

// A header has visible ASCII only, without what lists and forms treat specially.
func TestHeaderText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "!~aZ09:/@": "!~aZ09:/@", " ": "%20", "\x00\x1f\x7f": "%00%1F%7F", "%": "%25", ",": "%2C", "+": "%2B", "ü": "%C3%BC", "\xff": "%FF",
	} {
		if got := headerText(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
