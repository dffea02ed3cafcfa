package refresh

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A pair's own grace counts, and a session's own lifetimes; the rules' defaults fill in the rest.
func TestOwnValuesCount(t *testing.T) {
	t.Parallel()
	defaults := Lifetimes{AccessToken: time.Minute, RefreshToken: time.Hour, Session: 24 * time.Hour}
	for _, test := range []struct{ own, want Lifetimes }{
		{Lifetimes{}, defaults},
		{Lifetimes{AccessToken: 2 * time.Minute}, Lifetimes{2 * time.Minute, time.Hour, 24 * time.Hour}},
		{Lifetimes{RefreshToken: 2 * time.Hour}, Lifetimes{time.Minute, 2 * time.Hour, 24 * time.Hour}},
		{Lifetimes{Session: 48 * time.Hour}, Lifetimes{time.Minute, time.Hour, 48 * time.Hour}},
	} {
		if got := test.own.Or(defaults); got != test.want {
			t.Errorf("%+v: %+v, want %+v", test.own, got, test.want)
		}
	}
	for of, want := range map[time.Duration]time.Duration{0: grace, time.Second: time.Second} {
		rules := testRules
		rules.Grace = want
		if diff := cmp.Diff(rules, testRules.Of(of)); diff != "" {
			t.Errorf("the rules of a pair with a grace of %v: %s", of, diff)
		}
	}
}

// A pair is only an access token if its own two lifetimes are equal.
func TestHasRefreshToken(t *testing.T) {
	t.Parallel()
	for own, want := range map[Lifetimes]bool{
		{}:                       true,
		{AccessToken: time.Hour}: true,
		{AccessToken: time.Hour, RefreshToken: 2 * time.Hour}: true,
		{AccessToken: time.Hour, RefreshToken: time.Hour}:     false,
		{AccessToken: 1, RefreshToken: 1}:                     false,
	} {
		if got := (Pair{Lifetimes: own}).HasRefreshToken(); got != want {
			t.Errorf("%+v: %v", own, got)
		}
	}
}

func TestMintedAt(t *testing.T) {
	t.Parallel()
	p := Pair{CreatedAt: start}
	if got := p.MintedAt(); !got.Equal(start) {
		t.Errorf("before it is issued: %v", got)
	}
	p.IssuedAt = start.Add(time.Hour)
	if got := p.MintedAt(); !got.Equal(p.IssuedAt) {
		t.Errorf("after it was issued: %v", got)
	}
}

// A new access token is for its client's audience as it is now, or else for that of the one
// before; the rows of an earlier release are the first client's.
func TestClientAndAudience(t *testing.T) {
	t.Parallel()
	rules := testRules
	rules.FirstClient, rules.Audiences = "web", map[string]string{"web": "api", "app": "app-api"}
	for name, test := range map[string]struct{ client, audience, wantClient, want string }{
		"a client":                       {"app", "app-api", "app", "app-api"},
		"a client whose audience is new": {"app", "before", "app", "app-api"},
		"one of an earlier release":      {"", "", "web", "api"},
		"one that is gone":               {"gone", "its", "gone", "its"},
	} {
		p := at(func(p *Pair) { p.Client, p.Audience = test.client, test.audience })
		for outcome, generation := range map[Outcome]int64{Rotated: 5, RetriedLate: 4, Healed: 6} {
			d := decide(p, Presented{Generation: generation}, start.Add(time.Hour), rules)
			if d.Outcome != outcome || d.Next.Client != test.wantClient || d.Next.Audience != test.want {
				t.Errorf("%s, %v: client %q, audience %q", name, d.Outcome, d.Next.Client, d.Next.Audience)
			}
		}
	}
}
