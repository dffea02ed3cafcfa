package sessionstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func boundedConfig() sessionstore.Config {
	cfg := config()
	cfg.Lifetimes = sessionstore.Lifetimes{AccessToken: 5 * time.Minute, RefreshToken: 20 * time.Minute, Session: 8 * time.Hour}
	cfg.Bounds = sessionstore.Bounds{
		Min: sessionstore.Lifetimes{AccessToken: 2 * time.Minute, RefreshToken: 15 * time.Minute, Session: time.Hour},
		Max: sessionstore.Lifetimes{AccessToken: 10 * time.Minute, RefreshToken: 30 * time.Minute, Session: 24 * time.Hour},
	}
	return cfg
}

// A lifetime that is out of bounds is refused with an error that has the bounds, and never shortened.
func TestBounds(t *testing.T) {
	t.Parallel()
	k := setupWith(t, boundedConfig())
	for _, test := range []struct {
		own  sessionstore.Lifetimes
		want string // empty: allowed
	}{
		{sessionstore.Lifetimes{}, ""},
		{sessionstore.Lifetimes{AccessToken: 2 * time.Minute, RefreshToken: 15 * time.Minute, Session: time.Hour}, ""},
		{sessionstore.Lifetimes{AccessToken: 10 * time.Minute, RefreshToken: 30 * time.Minute, Session: 24 * time.Hour}, ""},
		{sessionstore.Lifetimes{AccessToken: 119 * time.Second}, "access_token_ttl: 1m59s is out of bounds: it must be between 2m0s and 10m0s"},
		{sessionstore.Lifetimes{AccessToken: 601 * time.Second}, "access_token_ttl: 10m1s is out of bounds: it must be between 2m0s and 10m0s"},
		{sessionstore.Lifetimes{RefreshToken: 899 * time.Second}, "refresh_token_ttl: 14m59s is out of bounds: it must be between 15m0s and 30m0s"},
		{sessionstore.Lifetimes{RefreshToken: time.Hour}, "refresh_token_ttl: 1h0m0s is out of bounds: it must be between 15m0s and 30m0s"},
		{sessionstore.Lifetimes{RefreshToken: sessionstore.NoIdleTimeout}, "refresh_token_ttl: an idle timeout is needed: it must be between 15m0s and 30m0s"},
		{sessionstore.Lifetimes{Session: time.Minute}, "session_ttl: 1m0s is out of bounds: it must be between 1h0m0s and 24h0m0s"},
		{sessionstore.Lifetimes{Session: 25 * time.Hour}, "session_ttl: 25h0m0s is out of bounds: it must be between 1h0m0s and 24h0m0s"},
		{sessionstore.Lifetimes{AccessToken: -time.Second}, "access_token_ttl: no lifetime: it must be a number of whole seconds between 2m0s and 10m0s"},
		{sessionstore.Lifetimes{RefreshToken: 20*time.Minute + 1}, "refresh_token_ttl: no lifetime: it must be a number of whole seconds between 15m0s and 30m0s"},
		{sessionstore.Lifetimes{Session: sessionstore.MaxLifetime + time.Second}, "session_ttl: no lifetime: it must be a number of whole seconds between 1h0m0s and 24h0m0s"},
	} {
		_, pair, err := k.Create(t.Context(), sessionstore.CreateParams{Lifetimes: test.own})
		if test.want == "" {
			if own := test.own.Or(boundedConfig().Lifetimes); err != nil || pair.RefreshExpiresIn() != own.RefreshToken || pair.ExpiresIn() != own.AccessToken {
				t.Errorf("%v: %v, %v", test.own, pair, err)
			}
			continue
		}
		if err == nil || !errors.Is(err, sessionstore.ErrInvalidArgument) || err.Error() != test.want {
			t.Errorf("%v: %v, want %s", test.own, err, test.want)
		}
	}
}

// Values that the program computes are bounded as well. The caller cannot correct it, unless the
// caller's own lifetimes are out of bounds anyway.
func TestBoundsOfComputedLifetimes(t *testing.T) {
	t.Parallel()
	var computed sessionstore.Lifetimes
	cfg := boundedConfig()
	cfg.LifetimesFor = func(sessionstore.CreateParams) sessionstore.Lifetimes { return computed }
	k := setupWith(t, cfg)
	for _, computed = range []sessionstore.Lifetimes{
		{AccessToken: time.Minute}, {RefreshToken: time.Hour}, {RefreshToken: sessionstore.NoIdleTimeout}, {Session: 25 * time.Hour}, {AccessToken: -time.Second}, {Session: 90*time.Minute + time.Millisecond},
	} {
		for _, params := range []sessionstore.CreateParams{{}, {NoRefresh: true}} {
			_, _, err := k.Create(t.Context(), params)
			if params.NoRefresh && computed.RefreshToken != 0 {
				if err != nil { // it has none
					t.Errorf("%v, without a refresh token: %v", computed, err)
				}
				continue
			}
			if err == nil || errors.Is(err, sessionstore.ErrInvalidArgument) || !strings.Contains(err.Error(), "LifetimesFor") {
				t.Errorf("%v: %v", computed, err)
			}
		}
		_, _, err := k.Create(t.Context(), sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{AccessToken: time.Second}})
		if e, ok := errors.AsType[*sessionstore.ArgumentError](err); !ok || e.Field != "access_token_ttl" {
			t.Errorf("%v, with a caller's: %v", computed, err)
		}
	}
	computed = sessionstore.Lifetimes{Session: 2 * time.Hour}
	k.create(t, sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{RefreshToken: 30 * time.Minute}})
}

// Lower bounds alone leave open whether a session ends.
func TestLowerBounds(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Bounds.Min = sessionstore.Lifetimes{AccessToken: 2 * time.Minute, RefreshToken: time.Hour, Session: 24 * time.Hour}
	k := setupWith(t, cfg)
	k.create(t, sessionstore.CreateParams{})
	for want, own := range map[string]sessionstore.Lifetimes{
		"session_ttl: 1h0m0s is out of bounds: it must be 24h0m0s or more":                 {Session: time.Hour},
		"access_token_ttl: 1m0s is out of bounds: it must be between 2m0s and 24h0m0s":     {AccessToken: time.Minute},
		"access_token_ttl: 25h0m0s is too long: an access token lives for 24h0m0s at most": {AccessToken: 25 * time.Hour},
		"refresh_token_ttl: 59m59s is out of bounds: it must be 1h0m0s or more":            {RefreshToken: time.Hour - time.Second},
	} {
		if _, _, err := k.Create(t.Context(), sessionstore.CreateParams{Lifetimes: own}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// The defaults keep to the bounds too, which must make sense.
func TestBoundsAreChecked(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for name, change := range map[string]func(*sessionstore.Config){
		"default below":          func(c *sessionstore.Config) { c.Lifetimes.AccessToken = time.Minute },
		"default above":          func(c *sessionstore.Config) { c.Lifetimes.RefreshToken = 31 * time.Minute },
		"no end by default":      func(c *sessionstore.Config) { c.Lifetimes.Session = 0 },
		"no timeout by default":  func(c *sessionstore.Config) { c.Lifetimes.RefreshToken = sessionstore.NoIdleTimeout },
		"the wrong way round":    func(c *sessionstore.Config) { c.Bounds.Max.Session = time.Minute },
		"negative":               func(c *sessionstore.Config) { c.Bounds.Min.AccessToken = -time.Second },
		"not whole seconds":      func(c *sessionstore.Config) { c.Bounds.Min.AccessToken = time.Millisecond },
		"beyond its column":      func(c *sessionstore.Config) { c.Bounds.Max.Session = sessionstore.MaxLifetime + time.Second },
		"past what is forgotten": func(c *sessionstore.Config) { c.Bounds.Max.AccessToken = 25 * time.Hour },
	} {
		cfg := boundedConfig()
		if _, err := sessionstore.New(k.pool, k.ring, cfg); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		if _, err := sessionstore.New(k.pool, k.ring, cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Without an idle timeout a session ends at its end, refreshed or not.
func TestNoIdleTimeout(t *testing.T) {
	t.Parallel()
	k := setup(t)
	own := sessionstore.Lifetimes{RefreshToken: sessionstore.NoIdleTimeout}
	_, _, err := k.Create(t.Context(), sessionstore.CreateParams{Lifetimes: own})
	if want := "session_ttl: missing: a session without an idle timeout must have an end"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	own.Session = 2000 * time.Hour // longer than the default's idle timeout
	session, first := k.create(t, sessionstore.CreateParams{Lifetimes: own})
	end := session.CreatedAt.Add(own.Session)
	second := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	loaded, err := k.Load(t.Context(), session.ID)
	if err != nil {
		t.Fatal(err)
	}
	got := []time.Time{session.ExpiresAt, first.RefreshTokenExpiresAt, second.RefreshTokenExpiresAt, loaded.ExpiresAt}
	if diff := cmp.Diff([]time.Time{end, end, end, end}, got); diff != "" {
		t.Error(diff)
	}
}
