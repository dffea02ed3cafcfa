package tokens_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestRequirement(t *testing.T) {
	t.Parallel()
	at := func(ago time.Duration, acr string) *tokens.Authentication {
		return &tokens.Authentication{AuthTime: now.Add(-ago), ACR: acr}
	}
	for name, c := range map[string]struct {
		required tokens.Requirement
		known    *tokens.Authentication
		met      bool
	}{
		"nothing":                     {met: true},
		"as old as it may be":         {tokens.Requirement{MaxAge: time.Minute}, at(time.Minute, ""), true},
		"too old":                     {tokens.Requirement{MaxAge: time.Minute}, at(time.Minute+1, ""), false},
		"of a clock that is ahead":    {tokens.Requirement{MaxAge: time.Minute}, at(-time.Second, ""), true},
		"nobody knows when":           {tokens.Requirement{MaxAge: time.Hour}, &tokens.Authentication{ACR: "gold"}, false},
		"nobody knows anything":       {tokens.Requirement{MaxAge: time.Hour}, nil, false},
		"one of the classes":          {tokens.Requirement{ACRValues: []string{"gold", "silver"}}, at(time.Hour, "silver"), true},
		"another class":               {tokens.Requirement{ACRValues: []string{"gold", "silver"}}, at(time.Hour, "Gold"), false},
		"no class":                    {tokens.Requirement{ACRValues: []string{"gold"}}, nil, false},
		"the class, but too long ago": {tokens.Requirement{MaxAge: time.Minute, ACRValues: []string{"gold"}}, at(time.Hour, "gold"), false},
		"both":                        {tokens.Requirement{MaxAge: time.Minute, ACRValues: []string{"gold"}}, at(0, "gold"), true},
	} {
		for _, thumbprint := range []string{"", "x"} {
			token := claims(tokens.AccessToken)
			token.Authentication, token.KeyThumbprint = c.known, thumbprint
			err := c.required.Check(token, now)
			if c.met != (err == nil) {
				t.Errorf("%s: %v", name, err)
			}
			want := &tokens.AuthenticationError{Requirement: c.required, Bound: thumbprint != ""}
			if e, ok := errors.AsType[*tokens.AuthenticationError](err); !c.met && (!ok || !errors.Is(err, tokens.ErrAuthentication) || errors.Is(err, tokens.ErrInvalid) || !cmp.Equal(e, want)) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestRequirementsThatNoChallengeStates(t *testing.T) {
	t.Parallel()
	for _, bad := range []tokens.Requirement{{MaxAge: -time.Second}, {MaxAge: time.Millisecond}, {ACRValues: []string{""}}, {ACRValues: []string{"a b"}}, {ACRValues: []string{`a"`}}, {ACRValues: []string{strings.Repeat("x", 256)}}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	for _, good := range []tokens.Requirement{{}, {MaxAge: time.Second, ACRValues: []string{"a", "urn:b"}}, {ACRValues: []string{strings.Repeat("x", 255)}}} {
		if err := good.Validate(); err != nil {
			t.Error(err)
		}
	}
}
