package sessionstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func (k kit) patch(t *testing.T, id uuid.UUID, patch sessionstore.Patch) sessionstore.Session {
	t.Helper()
	session, err := k.Patch(t.Context(), id, patch)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// nearly reports whether a time is that far from now, within the duration of a test.
func nearly(t *testing.T, what string, got time.Time, want time.Duration) {
	t.Helper()
	if off := time.Until(got) - want; off > time.Minute || off < -time.Minute {
		t.Errorf("%s is %v from now, want %v", what, time.Until(got), want)
	}
}

func TestPatchLifetimes(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, first := k.create(t, sessionstore.CreateParams{})
	k.age(t, session.ID, time.Minute)

	// The end counts from now, and the idle timeout starts over.
	got := k.patch(t, session.ID, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{Session: 2 * time.Hour}})
	nearly(t, "the end", got.ExpiresAt, 2*time.Hour)
	second := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	nearly(t, "the end after a refresh", second.RefreshTokenExpiresAt, 2*time.Hour)

	got = k.patch(t, session.ID, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{RefreshToken: time.Hour}})
	nearly(t, "the idle end", got.ExpiresAt, time.Hour)
	got = k.patch(t, session.ID, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{Session: 100 * 24 * time.Hour, RefreshToken: sessionstore.NoIdleTimeout}})
	nearly(t, "the end without an idle timeout", got.ExpiresAt, 100*24*time.Hour)

	// The present access token stays what it is, and its refresh token too.
	got = k.patch(t, session.ID, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{AccessToken: 30 * time.Minute}})
	nearly(t, "the end, which is another's matter", got.ExpiresAt, 100*24*time.Hour)
	k.get(t, second)
	again := k.refresh(t, second.RefreshToken, sessionstore.StillFresh)
	if again.AccessToken != second.AccessToken {
		t.Error("the access token has changed")
	}
	k.age(t, session.ID, aWhile)
	third := k.refresh(t, second.RefreshToken, sessionstore.Rotated)
	if third.ExpiresIn() != 30*time.Minute {
		t.Errorf("the next access token lives for %v", third.ExpiresIn())
	}
}

// A refresh token that was signed for less is valid for as long as the row says.
func TestPatchExtendsTheNewestToken(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{AccessToken: time.Minute, RefreshToken: 2 * time.Minute, Session: 3 * time.Minute}})
	k.patch(t, session.ID, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{RefreshToken: time.Hour, Session: 2 * time.Hour}})
	k.age(t, session.ID, 10*time.Minute)
	k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
}

// A session that was refreshed may have had access tokens that live for longer than the
// newest one. They are superseded if it could end before them, and left alone otherwise.
func TestPatchSupersedesWhatWouldOutliveTheSession(t *testing.T) {
	t.Parallel()
	k := setup(t)
	shortened := sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{Session: time.Hour}}
	superseded := func(id uuid.UUID) int {
		return k.count(t, `SELECT COALESCE(max("supersededBelow"), 0) FROM "sessionStoreToken" WHERE "session" = $1`, id)
	}
	session, pair := k.create(t, sessionstore.CreateParams{})
	k.patch(t, session.ID, shortened)
	if n := superseded(session.ID); n != 0 {
		t.Errorf("nothing was replaced, but tokens below %d are superseded", n)
	}
	session, pair = k.create(t, sessionstore.CreateParams{})
	next := k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	for _, own := range []sessionstore.Lifetimes{{AccessToken: time.Minute}, {Session: 48 * time.Hour}, {RefreshToken: 47 * time.Hour}} {
		k.patch(t, session.ID, sessionstore.Patch{Lifetimes: own})
		if n := superseded(session.ID); n != 0 {
			t.Errorf("the session lives for days, but after %+v tokens below %d are superseded", own, n)
		}
	}
	k.patch(t, session.ID, shortened)
	if n := superseded(session.ID); n != 1 {
		t.Errorf("tokens below %d are superseded, want 1", n)
	}
	k.get(t, next)
}

func TestPatchLabel(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{Client: sessionstore.Client{Label: "laptop", UserAgent: "Firefox"}})
	label := "Ann's laptop"
	got := k.patch(t, session.ID, sessionstore.Patch{Label: &label})
	loaded, err := k.Load(t.Context(), session.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := session
	want.Client.Label = label
	for name, s := range map[string]sessionstore.Session{"answered": got, "stored": loaded} {
		if s.Client != want.Client || !s.ExpiresAt.Equal(want.ExpiresAt) || !s.UpdatedAt.Equal(want.UpdatedAt) || s.Subject != want.Subject {
			t.Errorf("%s: %+v, want %+v", name, s, want)
		}
	}
	if got := k.patch(t, session.ID, sessionstore.Patch{}); got.Client != want.Client {
		t.Errorf("an empty patch made it %+v", got.Client)
	}
	long := strings.Repeat("x", 300) + "\x00"
	if got := k.patch(t, session.ID, sessionstore.Patch{Label: &long}); len(got.Client.Label) != 200 {
		t.Errorf("a long label has %d bytes", len(got.Client.Label))
	}
	none := ""
	if got := k.patch(t, session.ID, sessionstore.Patch{Label: &none}); got.Client.Label != "" || got.Client.UserAgent != "Firefox" {
		t.Errorf("without a label it is %+v", got.Client)
	}
	k.refresh(t, pair.RefreshToken, sessionstore.Rotated)

	if _, err := k.PatchOwn(t.Context(), "user-1", session.ID, sessionstore.Patch{Label: &label}); err != nil {
		t.Error(err)
	}
	for _, subject := range []string{"user-2", ""} {
		if _, err := k.PatchOwn(t.Context(), subject, session.ID, sessionstore.Patch{Label: &none}); !errors.Is(err, sessionstore.ErrNotFound) {
			t.Errorf("the session of another than %q: %v", subject, err)
		}
	}
}

func TestPatchRefuses(t *testing.T) {
	t.Parallel()
	k := setupWith(t, boundedConfig())
	free := setup(t)
	for name, test := range map[string]struct {
		kit
		own  sessionstore.Lifetimes
		want string
	}{
		"below the bounds":     {k, sessionstore.Lifetimes{Session: time.Minute}, "session_ttl: 1m0s is out of bounds"},
		"above the bounds":     {k, sessionstore.Lifetimes{RefreshToken: time.Hour}, "refresh_token_ttl: 1h0m0s is out of bounds"},
		"no idle timeout":      {k, sessionstore.Lifetimes{RefreshToken: sessionstore.NoIdleTimeout}, "refresh_token_ttl: an idle timeout is needed"},
		"below the grace":      {free, sessionstore.Lifetimes{AccessToken: 45 * time.Second}, "access_token_ttl: 45s is too short"},
		"past what is known":   {free, sessionstore.Lifetimes{AccessToken: 25 * time.Hour}, "access_token_ttl: 25h0m0s is too long"},
		"negative":             {free, sessionstore.Lifetimes{Session: -1}, "session_ttl: no lifetime: it must be a number of whole seconds between 1s and 596523h14m7s"},
		"access over refresh":  {free, sessionstore.Lifetimes{AccessToken: time.Hour}, "access_token_ttl: 1h0m0s is too long: the session's refresh token lives for 30m0s"},
		"refresh under access": {free, sessionstore.Lifetimes{RefreshToken: 5 * time.Minute}, "refresh_token_ttl: 5m0s is too short"},
		"no end at all":        {free, sessionstore.Lifetimes{RefreshToken: sessionstore.NoIdleTimeout}, "session_ttl: missing"},
		"over too soon":        {free, sessionstore.Lifetimes{Session: time.Minute}, "session_ttl: 1m0s is too short: the session must outlive its access token, which expires at "},
		"idle too soon":        {free, sessionstore.Lifetimes{AccessToken: time.Minute, RefreshToken: 2 * time.Minute}, "refresh_token_ttl: 2m0s is too short: the session must outlive its access token, which expires at "},
	} {
		params := sessionstore.CreateParams{}
		if test.kit == free {
			params.Lifetimes.RefreshToken = 30 * time.Minute
		}
		session, _ := test.create(t, params)
		_, err := test.Patch(t.Context(), session.ID, sessionstore.Patch{Lifetimes: test.own})
		if !errors.Is(err, sessionstore.ErrInvalidArgument) || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s…", name, err, test.want)
		}
		loaded, err := test.Load(t.Context(), session.ID)
		if err != nil || !loaded.ExpiresAt.Equal(session.ExpiresAt) {
			t.Errorf("%s: the session ends at %v, not %v (%v)", name, loaded.ExpiresAt, session.ExpiresAt, err)
		}
	}

	session, _ := free.create(t, sessionstore.CreateParams{})
	idle, _ := free.create(t, sessionstore.CreateParams{})
	free.age(t, idle.ID, 721*time.Hour)
	if err := free.Invalidate(t.Context(), session.ID); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[uuid.UUID]error{session.ID: sessionstore.ErrEnded, idle.ID: sessionstore.ErrEnded, uuid.New(): sessionstore.ErrNotFound} {
		if _, err := free.Patch(t.Context(), id, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{Session: time.Hour}}); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// Patches and refreshes of one session wait for each other, and lose nothing.
func TestPatchBesideRefreshes(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const rounds = 30
	session, pair := k.create(t, sessionstore.CreateParams{})
	label := "kiosk"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	together(3, func(i int) {
		for range rounds {
			var err error
			switch i {
			case 0:
				_, err = k.Patch(ctx, session.ID, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{Session: 50 * time.Hour}})
			case 1:
				_, err = k.Patch(ctx, session.ID, sessionstore.Patch{Label: &label, Lifetimes: sessionstore.Lifetimes{AccessToken: 7 * time.Minute}})
			default:
				if _, err = k.pool.Exec(ctx, `UPDATE "sessionStoreToken" SET "issuedAt" = NULL WHERE "session" = $1`, session.ID); err == nil {
					var got sessionstore.Refreshed
					got, err = k.RefreshTokens(ctx, string(pair.RefreshToken), sessionstore.Client{})
					pair = got.Pair
				}
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	if n := k.count(t, `SELECT count(*) FROM "sessionStoreToken" r JOIN "sessionStore" s ON s."id" = r."session"
		WHERE r."generation" = $1 AND r."accessTokenTtl" = 420 AND r."sessionExpiresAt" > now() + interval '49 hours' AND s."clientLabel" = 'kiosk'`, rounds); n != 1 {
		t.Error("a change was lost")
	}
}
