package sessionstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// setupPairFor returns a store that calls PairFor for each pair, and the place to put the
// answer.
func setupPairFor(t *testing.T, change ...func(*sessionstore.Config)) (kit, *atomic.Pointer[sessionstore.PairParams]) {
	t.Helper()
	answer := new(atomic.Pointer[sessionstore.PairParams])
	answer.Store(new(sessionstore.PairParams))
	cfg := config()
	cfg.PairFor = func(context.Context, sessionstore.PairRequest) (sessionstore.PairParams, error) {
		return *answer.Load(), nil
	}
	for _, c := range change {
		c(&cfg)
	}
	return setupWith(t, cfg), answer
}

// pairForEditors makes every user an editor.
func pairForEditors(context.Context, sessionstore.PairRequest) (sessionstore.PairParams, error) {
	return sessionstore.PairParams{Claims: roleOf("editor")}, nil
}

func roleOf(role string) []byte { return []byte(`{"role":"` + role + `"}`) }

// Each new pair has what the program returns at that moment, with one statement. A repeated
// refresh gives the same tokens, whatever the program then returns.
func TestPairFor(t *testing.T) {
	t.Parallel()
	var asked []sessionstore.PairRequest
	answer := sessionstore.PairParams{Claims: roleOf("editor"), AccessTokenTTL: 10 * time.Minute, RefreshTokenTTL: 48 * time.Hour}
	k, _ := setupPairFor(t, func(cfg *sessionstore.Config) {
		cfg.PairFor = func(_ context.Context, r sessionstore.PairRequest) (sessionstore.PairParams, error) {
			asked = append(asked, r)
			return answer, nil
		}
	})
	session, first := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	if len(asked) != 0 || k.claimsOf(t, first) != "" {
		t.Fatalf("asked %v at the creation", asked)
	}

	before := k.queries.Load()
	client := sessionstore.Client{UserAgent: "phone", IP: "192.0.2.1"}
	got, err := k.RefreshTokens(t.Context(), string(first.RefreshToken), client)
	if err != nil || got.Outcome != sessionstore.Rotated || k.queries.Load() != before+1 {
		t.Fatalf("%v, %v by %d statements", got.Outcome, err, k.queries.Load()-before)
	}
	second := got.Pair
	if diff := cmp.Diff([]sessionstore.PairRequest{{SessionID: session.ID, Subject: "ann", Client: client}}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if claims := k.claimsOf(t, second); claims != `{"role":"editor"}` || second.ExpiresIn() != 10*time.Minute || second.RefreshExpiresIn() != 48*time.Hour {
		t.Errorf("%s, good for %v and %v", claims, second.ExpiresIn(), second.RefreshExpiresIn())
	}

	answer = sessionstore.PairParams{Claims: roleOf("viewer"), AccessTokenTTL: 20 * time.Minute, RefreshTokenTTL: 72 * time.Hour}
	for want, token := range map[sessionstore.Outcome]tokens.Secret{sessionstore.Raced: first.RefreshToken, sessionstore.StillFresh: second.RefreshToken} {
		if again := k.refresh(t, token, want); again.AccessToken != second.AccessToken || again.RefreshToken != second.RefreshToken {
			t.Errorf("%v: another pair", want)
		}
	}

	// As long as the answer is zero, the pair is as it was.
	for _, step := range []struct {
		answer          sessionstore.PairParams
		claims          string
		access, refresh time.Duration
	}{
		{answer, `{"role":"viewer"}`, 20 * time.Minute, 72 * time.Hour},
		{sessionstore.PairParams{}, `{"role":"viewer"}`, 20 * time.Minute, 72 * time.Hour},
		{sessionstore.PairParams{Claims: []byte(`{}`)}, "", 20 * time.Minute, 72 * time.Hour},
	} {
		answer = step.answer
		k.age(t, session.ID, 10*time.Minute)
		second = k.refresh(t, second.RefreshToken, sessionstore.Rotated)
		if claims := k.claimsOf(t, second); claims != step.claims || second.ExpiresIn() != step.access || second.RefreshExpiresIn() != step.refresh {
			t.Errorf("%s, good for %v and %v, want %+v", claims, second.ExpiresIn(), second.RefreshExpiresIn(), step)
		}
	}
}

// Refreshes that come at once share a statement, and each pair has its own answer.
func TestPairForTogether(t *testing.T) {
	t.Parallel()
	k, _ := setupPairFor(t, func(cfg *sessionstore.Config) {
		cfg.PairFor = func(_ context.Context, r sessionstore.PairRequest) (sessionstore.PairParams, error) {
			if r.Subject == "user-0" {
				return sessionstore.PairParams{}, nil
			}
			return sessionstore.PairParams{Claims: roleOf(r.Subject)}, nil
		}
	})
	const n = 20
	list := make([]tokens.Secret, n)
	for i := range list {
		params := sessionstore.CreateParams{Subject: fmt.Sprint("user-", i), Claims: roleOf("first")}
		if i%2 == 1 {
			params.Actor = &tokens.Actor{Subject: "support-7"}
		}
		_, pair := k.create(t, params)
		list[i] = pair.RefreshToken
	}
	before := k.queries.Load()
	answers := k.together(t, list)
	if sent := k.queries.Load() - before; sent != 1 {
		t.Errorf("%d statements", sent)
	}
	for i, answer := range answers {
		if answer.err != nil || answer.Outcome != sessionstore.Rotated {
			t.Fatalf("%d: %v, %v", i, answer.Outcome, answer.err)
		}
		want := fmt.Sprint("user-", i)
		if i == 0 {
			want = "first"
		}
		session, claims, err := k.Get(t.Context(), string(answer.Pair.AccessToken))
		if err != nil || string(session.Claims) != string(roleOf(want)) || (claims.Actor != nil) != (i%2 == 1) {
			t.Errorf("%d: %s, acted in by %v: %v", i, session.Claims, claims.Actor, err)
		}
	}
}

// The same holds if a refresh takes more than one statement.
func TestPairForUnderLocks(t *testing.T) {
	t.Parallel()
	k, answer := setupPairFor(t)
	params, want := acted()
	session, pair := k.create(t, params)
	options := sessionstore.RefreshOptions{Scope: "orders:read"}
	if _, err := k.RefreshTokensWith(t.Context(), string(pair.RefreshToken), options); !errors.Is(err, sessionstore.ErrScope) {
		t.Fatal(err)
	}
	// The scope is that of the pair that is made.
	answer.Store(&sessionstore.PairParams{Claims: []byte(`{"scope":"orders:read"}`), AccessTokenTTL: 10 * time.Minute, RefreshTokenTTL: 48 * time.Hour})
	got, err := k.RefreshTokensWith(t.Context(), string(pair.RefreshToken), options)
	if err != nil || got.Outcome != sessionstore.Rotated || got.Pair.ExpiresIn() != 10*time.Minute || got.Pair.RefreshExpiresIn() != 48*time.Hour {
		t.Fatalf("%+v, %v", got, err)
	}

	// A retry gives a new access token, with what the pair has.
	answer.Store(&sessionstore.PairParams{Claims: roleOf("viewer")})
	k.age(t, session.ID, 10*time.Minute)
	late := k.refresh(t, pair.RefreshToken, sessionstore.RetriedLate)
	if late.Scope != "orders:read" || late.ExpiresIn() != 10*time.Minute {
		t.Errorf("the late retry has the scope %q, and is good for %v", late.Scope, late.ExpiresIn())
	}
	read, _, err := k.Get(t.Context(), string(late.AccessToken))
	if err != nil || string(read.Claims) != `{"scope":"orders:read"}` {
		t.Errorf("%s, %v", read.Claims, err)
	}
	if diff := cmp.Diff(want, read.Context); diff != "" {
		t.Errorf("context (-want +got):\n%s", diff)
	}
	k.exec(t, `UPDATE "sessionStoreToken" SET "generation" = "generation" - 1, "accessGeneration" = "accessGeneration" - 1`)
	healed := k.refresh(t, late.RefreshToken, sessionstore.Healed)
	if read, _, err = k.Get(t.Context(), string(healed.AccessToken)); err != nil || string(read.Claims) != `{"role":"viewer"}` {
		t.Errorf("healed: %s, %v", read.Claims, err)
	}
}

// A program that fails, or returns something invalid, ends nothing: its answer says
// nothing about the token, whatever its error.
func TestPairForFails(t *testing.T) {
	t.Parallel()
	var params sessionstore.PairParams
	var failure error
	k, _ := setupPairFor(t, func(cfg *sessionstore.Config) {
		cfg.Bounds.Max.RefreshToken = 24 * time.Hour
		cfg.Lifetimes.RefreshToken = time.Hour
		cfg.PairFor = func(context.Context, sessionstore.PairRequest) (sessionstore.PairParams, error) {
			return params, failure
		}
	})
	creation, _ := acted()
	_, pair := k.create(t, creation)
	long := []byte(`{"a":"` + strings.Repeat("x", tokens.MaxCustomBytes-len(`{"a":""}`)) + `"}`)
	lifetimes := func(access, refresh time.Duration) sessionstore.PairParams {
		return sessionstore.PairParams{AccessTokenTTL: access, RefreshTokenTTL: refresh}
	}
	before := k.queries.Load()
	for name, test := range map[string]struct {
		params  sessionstore.PairParams
		failure error
		want    string
	}{
		"an error":              {failure: fmt.Errorf("roles: %w", sessionstore.ErrEnded), want: "roles: "},
		"a claim of ours":       {params: sessionstore.PairParams{Claims: []byte(`{"sub":"root"}`)}, want: "sub"},
		"no object":             {params: sessionstore.PairParams{Claims: []byte(`[]`)}, want: "object"},
		"too long with the act": {params: sessionstore.PairParams{Claims: long}, want: "longer than 4096 bytes together"},
		"one lifetime":          {params: lifetimes(10*time.Minute, 0), want: "refresh_token_ttl: missing"},
		"the other lifetime":    {params: lifetimes(0, time.Hour), want: "access_token_ttl: missing"},
		"a short access token":  {params: lifetimes(time.Second, time.Hour), want: "access_token_ttl: 1s is too short"},
		"a short refresh token": {params: lifetimes(10*time.Minute, 10*time.Minute), want: "must outlive"},
		"out of bounds":         {params: lifetimes(10*time.Minute, 48*time.Hour), want: "out of bounds"},
	} {
		params, failure = test.params, test.failure
		_, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
		if !errors.Is(err, sessionstore.ErrUnavailable) || errors.Is(err, sessionstore.ErrEnded) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if asked := k.queries.Load() - before; asked != 0 && name != "too long with the act" {
			t.Errorf("%s: %d statements", name, asked)
		}
		before = k.queries.Load()
	}
	params, failure = sessionstore.PairParams{}, nil
	k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
}

// A pair needs an idle timeout: it is not known whether its session has an end.
func TestPairForWithoutIdleTimeout(t *testing.T) {
	t.Parallel()
	k, answer := setupPairFor(t)
	_, pair := k.create(t, sessionstore.CreateParams{})
	answer.Store(&sessionstore.PairParams{AccessTokenTTL: time.Hour, RefreshTokenTTL: sessionstore.NoIdleTimeout})
	if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrUnavailable) || !strings.Contains(err.Error(), "idle timeout") {
		t.Error(err)
	}
}

// As Compas' own resolver it is asked for the pair that follows one of Compas, too.
func TestPairForCompas(t *testing.T) {
	t.Parallel()
	c := setupCompas(t, func(cfg *sessionstore.Config) {
		cfg.PairFor = func(context.Context, sessionstore.PairRequest) (sessionstore.PairParams, error) {
			return sessionstore.PairParams{Claims: roleOf("editor"), AccessTokenTTL: 20 * time.Minute, RefreshTokenTTL: 3 * time.Hour}, nil
		}
	})
	pair := c.refresh(t, c.signIn(t, `{}`).refresh, sessionstore.Rotated)
	if claims := c.claimsOf(t, pair); claims != `{"role":"editor"}` || pair.ExpiresIn() != 20*time.Minute || pair.RefreshExpiresIn() != 3*time.Hour {
		t.Errorf("%s, good for %v and %v", claims, pair.ExpiresIn(), pair.RefreshExpiresIn())
	}
}
