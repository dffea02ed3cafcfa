package sessionstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// acted is a creation by support staff for a user who authenticated a minute ago.
func acted() (sessionstore.CreateParams, tokens.Context) {
	want := tokens.Context{
		Authentication: &tokens.Authentication{AuthTime: time.Now().Add(-time.Minute).Truncate(time.Second).UTC(), ACR: "gold", AMR: []string{"pwd", "otp"}},
		Actor:          &tokens.Actor{Subject: "support-7", Issuer: "https://staff.example.com"},
		Cookie:         "__Host-shop",
	}
	return sessionstore.CreateParams{Subject: "ann", Claims: []byte(`{"role":"editor"}`), Authentication: want.Authentication, Actor: want.Actor, Cookie: want.Cookie}, want
}

// Every view of a session says how its user authenticated, who acts for them and what its cookie is, and so
// does each pair's access token, however the pair came about.
func TestContext(t *testing.T) {
	t.Parallel()
	k := setup(t)
	params, want := acted()
	session, pair := k.create(t, params)
	same := func(what string, got tokens.Context) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check := func(what string, pair sessionstore.TokenPair) {
		t.Helper()
		read, claims, err := k.Get(t.Context(), string(pair.AccessToken))
		if err != nil || string(read.Claims) != `{"role":"editor"}` || claims.Custom != string(read.Claims) {
			t.Fatalf("%s: %s and %s, %v", what, read.Claims, claims.Custom, err)
		}
		same(what+", the session", read.Context)
		same(what+", the token", claims.Context)
	}
	same("the creation", session.Context)
	check("the creation", pair)
	first := pair
	pair = k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	check("a rotation", pair)
	check("a race", k.refresh(t, first.RefreshToken, sessionstore.Raced))
	k.age(t, session.ID, time.Hour)
	check("another rotation", k.refresh(t, pair.RefreshToken, sessionstore.Rotated))

	loaded, err := k.Load(t.Context(), session.ID)
	if err != nil || string(loaded.Claims) != `{"role":"editor"}` {
		t.Fatalf("%s, %v", loaded.Claims, err)
	}
	same("Load", loaded.Context)
	label := "desk"
	same("Patch", k.patch(t, session.ID, sessionstore.Patch{Label: &label}).Context)
	k.create(t, sessionstore.CreateParams{Subject: "ann", Claims: []byte(`{"role":"editor"}`)})
	page, err := k.List(t.Context(), "ann", sessionstore.ListParams{})
	if err != nil || len(page.Sessions) != 2 || page.Sessions[0].Context != (tokens.Context{}) || page.Sessions[1].Claims != nil {
		t.Fatalf("%+v, %v", page, err)
	}
	same("List", page.Sessions[1].Context)
}

// A caller who sends a creation again gets that session, and another creation is another.
func TestContextIsPartOfTheCreation(t *testing.T) {
	t.Parallel()
	k := setup(t)
	params, want := acted()
	params.IdempotencyKey = "b7a1"
	session, pair := k.create(t, params)
	fraction := *params.Authentication
	fraction.AuthTime = fraction.AuthTime.Add(time.Millisecond)
	params.Authentication = &fraction
	got, again := k.create(t, params)
	if diff := cmp.Diff(want, got.Context); got.ID != session.ID || again.AccessToken != pair.AccessToken || diff != "" {
		t.Errorf("%v, not %v: %s", got.ID, session.ID, diff)
	}
	for what, change := range map[string]func(*sessionstore.CreateParams){
		"acr":     func(p *sessionstore.CreateParams) { p.Authentication = &tokens.Authentication{ACR: "silver"} },
		"nothing": func(p *sessionstore.CreateParams) { p.Authentication = nil },
		"act":     func(p *sessionstore.CreateParams) { p.Actor = &tokens.Actor{Subject: "support-8"} },
		"cookie":  func(p *sessionstore.CreateParams) { p.Cookie = "__Host-staff" },
		"refresh": func(p *sessionstore.CreateParams) { p.NoRefresh = true },
	} {
		other := params
		change(&other)
		if _, _, err := k.Create(t.Context(), other); !errors.Is(err, sessionstore.ErrIdempotencyKeyReused) {
			t.Errorf("another %s: %v", what, err)
		}
	}
}

func TestContextRefused(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for want, params := range map[string]sessionstore.CreateParams{
		"auth_time: in the future: it may be up to 1m0s ahead of the database's clock":              {Authentication: &tokens.Authentication{AuthTime: time.Now().Add(5 * time.Minute)}},
		"auth_time: not between 0 and 253402300799":                                                 {Authentication: &tokens.Authentication{AuthTime: time.Unix(-1, 0)}},
		"acr: not a string of 1 to 255 printable ASCII characters":                                  {Authentication: &tokens.Authentication{ACR: "a b"}},
		"amr/1: not a string of 1 to 64 printable ASCII characters":                                 {Authentication: &tokens.Authentication{AMR: []string{"pwd", ""}}},
		"amr: more than 16 methods":                                                                 {Authentication: &tokens.Authentication{AMR: make([]string, 17)}},
		"act/sub: missing":                                                                          {Actor: &tokens.Actor{}},
		"act/act/iss: not a string of up to 255 bytes":                                              {Actor: &tokens.Actor{Subject: "a", Actor: &tokens.Actor{Subject: "b", Issuer: strings.Repeat("x", 256)}}},
		"act: longer than 1024 bytes":                                                               {Actor: &tokens.Actor{Subject: strings.Repeat("\x01", 255)}},
		"cookie: not a string of 1 to 128 printable ASCII characters":                               {Cookie: "a b"},
		"claims: longer than 4096 bytes together with acr, act, amr, auth_time and latchkey_cookie": {Actor: &tokens.Actor{Subject: "a"}, Claims: []byte(`{"a":"` + strings.Repeat("x", tokens.MaxCustomBytes-8) + `"}`)},
		"claims/act: reserved":                                                                      {Claims: []byte(`{"act":{"sub":"a"}}`)},
		"claims/AuthTime: reserved":                                                                 {Claims: []byte(`{"AuthTime":1}`)},
		"refresh_token_ttl: not allowed: a session without a refresh token ends with":               {NoRefresh: true, Lifetimes: sessionstore.Lifetimes{RefreshToken: time.Hour}},
		"access_token_ttl: 24h0m1s is too long: an access token lives for 24h0m0s at m":             {NoRefresh: true, Lifetimes: sessionstore.Lifetimes{AccessToken: 24*time.Hour + time.Second}},
	} {
		_, _, err := k.Create(t.Context(), params)
		if e, ok := errors.AsType[*sessionstore.ArgumentError](err); !ok || !strings.HasPrefix(e.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if got := k.queries.Load(); got != 0 {
		t.Errorf("%d statements were sent", got)
	}
	if _, _, err := k.Create(t.Context(), sessionstore.CreateParams{Authentication: &tokens.Authentication{AuthTime: time.Now().Add(30 * time.Second)}}); err != nil {
		t.Errorf("a clock that is ahead by half a minute: %v", err)
	}
}

// Unreadable claims in a row are our fault, and affect no other session.
func TestClaimsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{Actor: &tokens.Actor{Subject: "a"}})
	k.exec(t, `UPDATE "sessionStoreToken" SET "claims" = '{"act":' WHERE "session" = $1`, session.ID)
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Error(err)
	}
	if _, err := k.Load(t.Context(), session.ID); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Error(err)
	}
}
