package sessionstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestCreateGetLoad(t *testing.T) {
	t.Parallel()
	k := setup(t)
	created, pair := k.create(t, sessionstore.CreateParams{
		Subject: "user-1", Data: []byte(`{"cart": [1, 2.50, 12345678901234567890]}`),
		Client: sessionstore.Client{Label: "Ann's phone", UserAgent: "curl/8", IP: "::ffff:192.0.2.1"},
	})
	got, claims, err := k.Get(t.Context(), string(pair.AccessToken))
	if err != nil {
		t.Fatal(err)
	}
	if claims.SessionID != created.ID || claims.Subject != "user-1" {
		t.Errorf("claims %+v", claims)
	}
	// Numbers come back digit for digit.
	if string(got.Data) != `{"cart": [1, 2.50, 12345678901234567890]}` {
		t.Errorf("data is %s", got.Data)
	}
	created.Data = got.Data
	if diff := cmp.Diff(created, got); diff != "" {
		t.Error(diff)
	}
	loaded, err := k.Load(t.Context(), created.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, loaded); diff != "" {
		t.Error(diff)
	}
	want := sessionstore.Client{Label: "Ann's phone", UserAgent: "curl/8", IP: "192.0.2.1"}
	if got.Client != want {
		t.Errorf("client %+v", got.Client)
	}
	if pair.ExpiresIn() < 298*time.Second || pair.ExpiresIn() > 300*time.Second || pair.RefreshExpiresIn() < 720*time.Hour-2*time.Second {
		t.Errorf("expires in %v, refresh in %v", pair.ExpiresIn(), pair.RefreshExpiresIn())
	}
	if id := created.ID.Version(); id != 7 {
		t.Errorf("the id is of version %d", id)
	}
}

func TestEmptySession(t *testing.T) {
	t.Parallel()
	k := setup(t)
	created, pair, err := k.Create(t.Context(), sessionstore.CreateParams{})
	if err != nil {
		t.Fatal(err)
	}
	got, claims, err := k.Get(t.Context(), string(pair.AccessToken))
	if err != nil || string(got.Data) != "{}" || got.Subject != "" || claims.Subject != "" {
		t.Errorf("got %+v, %+v, %v", got, claims, err)
	}
	if err := k.InvalidateOwn(t.Context(), "", created.ID); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Errorf("a session without subject is nobody's: %v", err)
	}
}

func TestGetRefuses(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{})
	if _, _, err := k.Get(t.Context(), string(pair.RefreshToken)); !errors.Is(err, tokens.ErrWrongType) {
		t.Errorf("a refresh token: %v", err)
	}
	if _, err := k.RefreshTokens(t.Context(), string(pair.AccessToken), sessionstore.Client{}); !errors.Is(err, tokens.ErrWrongType) {
		t.Errorf("refresh with an access token: %v", err)
	}
	stranger := newStore(t, k.pool, newRing(t), config())
	_, foreign, err := stranger.Create(t.Context(), sessionstore.CreateParams{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := k.Get(t.Context(), string(foreign.AccessToken)); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("a token of another key: %v", err)
	}

	k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	k.rotatedBefore(t, grace)
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrSuperseded) {
		t.Errorf("a superseded token: %v", err)
	}
	k.exec(t, `DELETE FROM "sessionStore" WHERE "id" = $1`, session.ID)
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Errorf("a session that is gone: %v", err)
	}
	if _, err := k.Load(t.Context(), session.ID); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Errorf("load a session that is gone: %v", err)
	}
	if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Errorf("refresh a session that is gone: %v", err)
	}
}

// The database may have lost commits: a generation above its own was issued.
func TestGetAcceptsWhatTheDatabaseForgot(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{})
	next := k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	k.exec(t, `UPDATE "sessionStoreToken" SET "generation" = 0, "accessGeneration" = 0 WHERE "session" = $1`, session.ID)
	if _, _, err := k.Get(t.Context(), string(next.AccessToken)); err != nil {
		t.Error(err)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{Data: []byte(`{"a":1,"b":[2]}`)})

	before := k.queries.Load()
	same, err := k.Update(t.Context(), session.ID, session.Checksum, []byte(` {"b": [2.0], "a": 1e0} `))
	if err != nil || same != session.Checksum {
		t.Errorf("the same data: %q, %v", same, err)
	}
	if n := k.queries.Load() - before; n != 0 {
		t.Errorf("the same data cost %d statements", n)
	}

	next, err := k.Update(t.Context(), session.ID, session.Checksum, []byte(`{"a":2}`))
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := k.Get(t.Context(), string(pair.AccessToken))
	if err != nil || string(got.Data) != `{"a": 2}` || got.Checksum != next || !got.UpdatedAt.After(got.CreatedAt) {
		t.Errorf("got %+v, %v", got, err)
	}

	var conflict *sessionstore.ConflictError
	_, err = k.Update(t.Context(), session.ID, session.Checksum, []byte(`{"a":3}`))
	if !errors.Is(err, sessionstore.ErrConflict) || !errors.As(err, &conflict) || conflict.Checksum != next {
		t.Errorf("a stale checksum: %v", err)
	}
	if _, err := k.Update(t.Context(), uuid.New(), next, []byte(`{"a":3}`)); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Errorf("an unknown session: %v", err)
	}
	if err := k.Invalidate(t.Context(), session.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Update(t.Context(), session.ID, next, []byte(`{"a":3}`)); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("a revoked session: %v", err)
	}
}

// ASVS 7.4.1, 7.4.2, 7.4.5: ending a session revokes all its tokens at once.
func TestInvalidate(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{})
	pair = k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	for range 2 { // repeating it is not an error
		if err := k.Invalidate(t.Context(), session.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("get: %v", err)
	}
	if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("refresh: %v", err)
	}
	if n := k.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "session" = $1 AND "revokedAt" IS NOT NULL`, session.ID); n != 1 {
		t.Errorf("%d of 1 token row is revoked", n)
	}
	loaded, err := k.Load(t.Context(), session.ID)
	if err != nil || loaded.RevokedAt.IsZero() {
		t.Errorf("load: %+v, %v", loaded, err)
	}
	if err := k.Invalidate(t.Context(), uuid.New()); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
}

func TestInvalidateOwn(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	if err := k.InvalidateOwn(t.Context(), "bob", session.ID); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Errorf("another's session: %v", err)
	}
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); err != nil {
		t.Errorf("after another subject tried to end it: %v", err)
	}
	if err := k.InvalidateOwn(t.Context(), "ann", session.ID); err != nil {
		t.Error(err)
	}
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("after its owner ended it: %v", err)
	}
}

func TestInvalidateSubject(t *testing.T) {
	t.Parallel()
	k := setup(t)
	var pairs []sessionstore.TokenPair
	var keep uuid.UUID
	for range 4 {
		session, pair := k.create(t, sessionstore.CreateParams{Subject: "ann"})
		pairs, keep = append(pairs, pair), session.ID
	}
	_, other := k.create(t, sessionstore.CreateParams{Subject: "bob"})

	n, err := k.InvalidateSubject(t.Context(), "ann", keep)
	if err != nil || n != 3 {
		t.Fatalf("%d, %v", n, err)
	}
	for i, pair := range append(pairs, other) {
		_, _, err := k.Get(t.Context(), string(pair.AccessToken))
		_, refreshErr := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
		if ended := i < 3; errors.Is(err, sessionstore.ErrEnded) != ended || errors.Is(refreshErr, sessionstore.ErrEnded) != ended {
			t.Errorf("session %d: %v, %v", i, err, refreshErr)
		}
	}
	if n, err = k.InvalidateSubject(t.Context(), "ann", uuid.Nil); err != nil || n != 1 {
		t.Errorf("all of them: %d, %v", n, err)
	}
	if _, err := k.InvalidateSubject(t.Context(), "", uuid.Nil); !errors.Is(err, sessionstore.ErrInvalidArgument) {
		t.Errorf("no subject: %v", err)
	}
}

// RFC 7009 §2.1, §2.2.
func TestRevokeToken(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for name, pick := range map[string]func(sessionstore.TokenPair) tokens.Secret{
		"access":  func(p sessionstore.TokenPair) tokens.Secret { return p.AccessToken },
		"refresh": func(p sessionstore.TokenPair) tokens.Secret { return p.RefreshToken },
	} {
		_, pair := k.create(t, sessionstore.CreateParams{})
		for range 2 {
			if err := k.RevokeToken(t.Context(), string(pick(pair))); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := k.RevokeToken(t.Context(), "nonsense"); err != nil {
		t.Errorf("nonsense: %v", err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	k := setup(t)
	var want []uuid.UUID
	for range 5 {
		session, _ := k.create(t, sessionstore.CreateParams{Subject: "ann", Data: []byte(`{"x":1}`)})
		want = append([]uuid.UUID{session.ID}, want...)
	}
	revoked, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	if err := k.Invalidate(t.Context(), revoked.ID); err != nil {
		t.Fatal(err)
	}
	expired, _ := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	k.age(t, expired.ID, 721*time.Hour)
	k.create(t, sessionstore.CreateParams{Subject: "bob"})

	var got []uuid.UUID
	pages, cursor := 0, ""
	for {
		page, err := k.List(t.Context(), "ann", sessionstore.ListParams{Cursor: cursor, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Sessions {
			got = append(got, s.ID)
			if s.Data != nil || s.Checksum != "" {
				t.Errorf("a list carries data: %+v", s)
			}
		}
		pages++
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || pages != 3 {
		t.Errorf("%d pages: %s", pages, diff)
	}
	for _, params := range []sessionstore.ListParams{{Limit: -1}, {Limit: 201}, {Cursor: "x"}, {Cursor: strings.Repeat("A", 23)}} {
		if _, err := k.List(t.Context(), "ann", params); !errors.Is(err, sessionstore.ErrInvalidArgument) {
			t.Errorf("%+v: %v", params, err)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for name, test := range map[string]struct {
		params sessionstore.CreateParams
		field  string
	}{
		"long subject":       {sessionstore.CreateParams{Subject: strings.Repeat("s", 256)}, "subject"},
		"NUL in subject":     {sessionstore.CreateParams{Subject: "a\x00b"}, "subject"},
		"bad UTF-8":          {sessionstore.CreateParams{Subject: "\xff"}, "subject"},
		"data no object":     {sessionstore.CreateParams{Data: []byte(`[1]`)}, "data"},
		"access too short":   {sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{AccessToken: 30 * time.Second}}, "access_token_ttl"},
		"refresh too short":  {sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{RefreshToken: 5 * time.Minute}}, "refresh_token_ttl"},
		"fraction of second": {sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{AccessToken: 90*time.Second + 1}}, "access_token_ttl"},
		"negative session":   {sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{Session: -time.Second}}, "session_ttl"},
		"endless session":    {sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{Session: sessionstore.MaxLifetime + time.Second}}, "session_ttl"},
		"endless refreshes":  {sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{RefreshToken: sessionstore.MaxLifetime + time.Second}}, "refresh_token_ttl"},
	} {
		var argument *sessionstore.ArgumentError
		_, _, err := k.Create(t.Context(), test.params)
		if !errors.Is(err, sessionstore.ErrInvalidArgument) || !errors.As(err, &argument) || argument.Field != test.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	// No value that a browser sends is a reason to refuse it.
	session, _ := k.create(t, sessionstore.CreateParams{Client: sessionstore.Client{UserAgent: strings.Repeat("ü", 300) + "\x00\xff"}})
	if got := session.Client.UserAgent; len(got) != 512 {
		t.Errorf("the user agent has %d bytes", len(got))
	}
}

// Lifetimes of one session, of the configuration, and of a function.
func TestLifetimes(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Lifetimes = sessionstore.Lifetimes{AccessToken: 10 * time.Minute}
	cfg.LifetimesFor = func(p sessionstore.CreateParams) sessionstore.Lifetimes {
		if p.Subject == "kiosk" {
			return sessionstore.Lifetimes{RefreshToken: time.Hour, Session: 2 * time.Hour}
		}
		return sessionstore.Lifetimes{}
	}
	k := setupWith(t, cfg)
	for _, test := range []struct {
		params          sessionstore.CreateParams
		access, refresh time.Duration
	}{
		{sessionstore.CreateParams{Subject: "ann"}, 10 * time.Minute, 720 * time.Hour},
		{sessionstore.CreateParams{Subject: "ann", Lifetimes: sessionstore.Lifetimes{AccessToken: 7 * time.Minute}}, 7 * time.Minute, 720 * time.Hour},
		{sessionstore.CreateParams{Subject: "kiosk"}, 10 * time.Minute, time.Hour},
		{sessionstore.CreateParams{Subject: "kiosk", Lifetimes: sessionstore.Lifetimes{RefreshToken: 90 * time.Minute}}, 10 * time.Minute, 90 * time.Minute},
		{sessionstore.CreateParams{Subject: "kiosk", Lifetimes: sessionstore.Lifetimes{Session: 20 * time.Minute}}, 10 * time.Minute, 20 * time.Minute},
		{sessionstore.CreateParams{Subject: "ann", Lifetimes: sessionstore.Lifetimes{Session: time.Minute}}, time.Minute, time.Minute},
		{
			sessionstore.CreateParams{Lifetimes: sessionstore.Lifetimes{AccessToken: sessionstore.MaxAccessTokenTTL, RefreshToken: sessionstore.MaxLifetime, Session: sessionstore.MaxLifetime}},
			sessionstore.MaxAccessTokenTTL, sessionstore.MaxLifetime,
		},
	} {
		_, created := k.create(t, test.params)
		refreshed := k.refresh(t, created.RefreshToken, sessionstore.Rotated)
		for when, pair := range map[string]sessionstore.TokenPair{"created": created, "refreshed": refreshed} {
			if off := test.access - pair.ExpiresIn(); off < 0 || off > 3*time.Second {
				t.Errorf("%s %+v: the access token lasts %v, want %v", when, test.params, pair.ExpiresIn(), test.access)
			}
			if off := test.refresh - pair.RefreshExpiresIn(); off < 0 || off > 3*time.Second {
				t.Errorf("%s %+v: the refresh token lasts %v, want %v", when, test.params, pair.RefreshExpiresIn(), test.refresh)
			}
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for name, change := range map[string]func(*sessionstore.Config){
		"grace over half the access token": func(c *sessionstore.Config) { c.Grace = 150 * time.Second },
		"negative grace":                   func(c *sessionstore.Config) { c.Grace = -1 },
		"negative limit":                   func(c *sessionstore.Config) { c.LateRetryLimit = -1 },
		"negative sessions":                func(c *sessionstore.Config) { c.SessionsPerSubject = -1 },
		"unknown action":                   func(c *sessionstore.Config) { c.SessionsPerSubjectAction = "end_newest" },
		"refresh under access":             func(c *sessionstore.Config) { c.Lifetimes.RefreshToken = time.Minute },
		"refresh beyond its column":        func(c *sessionstore.Config) { c.Lifetimes.RefreshToken = sessionstore.MaxLifetime + time.Second },
		"no issuer":                        func(c *sessionstore.Config) { c.Tokens.Issuer = "" },
	} {
		cfg := config()
		change(&cfg)
		if _, err := sessionstore.New(k.pool, k.ring, cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := sessionstore.New(nil, k.ring, config()); err == nil {
		t.Error("no pool: no error")
	}
}

// Contexts end queries, and an ended one says nothing about the token. The tables
// are locked to the end of the test: nothing else ends a call.
func TestCancelledContext(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{})
	ctx := t.Context() // each call gets one of its own
	block, err := k.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = block.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := block.Exec(t.Context(), `LOCK TABLE "sessionStore", "sessionStoreToken" IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"Create": func() error { _, _, err := k.Create(ctx, sessionstore.CreateParams{}); return err },
		"Get":    func() error { _, _, err := k.Get(ctx, string(pair.AccessToken)); return err },
		"Load":   func() error { _, err := k.Load(ctx, session.ID); return err },
		"Update": func() error { _, err := k.Update(ctx, session.ID, session.Checksum, []byte(`{"a":1}`)); return err },
		"RefreshTokens": func() error {
			_, err := k.RefreshTokens(ctx, string(pair.RefreshToken), sessionstore.Client{})
			return err
		},
		"Invalidate":        func() error { return k.Invalidate(ctx, session.ID) },
		"InvalidateSubject": func() error { _, err := k.InvalidateSubject(ctx, "user-1", uuid.Nil); return err },
		"List":              func() error { _, err := k.List(ctx, "user-1", sessionstore.ListParams{}); return err },
		"CountDue":          func() error { _, err := k.CountDue(ctx, cleanup.Rule{Kind: cleanup.Revoked}); return err },
		"FindDue":           func() error { _, err := k.FindDue(ctx, cleanup.Rule{Kind: cleanup.Revoked}, 1); return err },
		"OldestEnded":       func() error { _, err := k.OldestEnded(ctx); return err },
		"RemoveDue": func() error {
			_, err := k.RemoveDue(ctx, cleanup.Rule{Kind: cleanup.Revoked}, []uuid.UUID{session.ID}, time.Minute)
			return err
		},
	} {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := call()
		cancel()
		if !errors.Is(err, sessionstore.ErrUnavailable) || errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	k := setup(t)
	if err := k.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	k.exec(t, `ALTER TABLE "sessionStoreToken" RENAME TO "gone"`)
	if err := k.Ping(t.Context()); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Errorf("without the table: %v", err)
	}
}

func TestErrorsShowNoSecret(t *testing.T) {
	t.Parallel()
	k := setup(t)
	_, pair := k.create(t, sessionstore.CreateParams{Data: []byte(`{"password":"hunter2"}`)})
	k.pool.Close()
	for _, call := range []func() error{
		func() error { _, _, err := k.Get(t.Context(), string(pair.AccessToken)); return err },
		func() error {
			_, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
			return err
		},
		func() error {
			_, _, err := k.Create(t.Context(), sessionstore.CreateParams{Data: []byte(`{"password":"hunter2"}`)})
			return err
		},
	} {
		err := call()
		if !errors.Is(err, sessionstore.ErrUnavailable) {
			t.Errorf("without a database: %v", err)
		}
		shown := fmt.Sprintf("%v %+v %#v", err, err, err) + fmt.Sprintf("%v %+v %#v", pair, pair, pair)
		for _, secret := range []string{"hunter2", string(pair.AccessToken), string(pair.RefreshToken)} {
			if strings.Contains(shown, secret) {
				t.Errorf("the error shows %q", secret)
			}
		}
	}
}

// Whatever Checksum accepts, PostgreSQL stores, returns in bounds, and returns
// with the same checksum.
func TestAcceptedDataIsStored(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for _, data := range []string{
		`{"a":1e60000}`, `{"a":-1e-16383}`, `{"a":0e60000}`, `{"a":0e-16383}`, `{"a":[1e100,-1E-100,0.00,-0]}`, `{"":{"":""}}`,
		`{"a":` + strings.Repeat(`{"a":`, 190) + `1` + strings.Repeat(`}`, 190) + `}`,
		`{"s":"\u0001\u001f\u007f\u2028\ufffe\uffff\"\\\/\b\f\n\r\t😀"}`,
		`{"big":"` + strings.Repeat("x", 65000) + `"}`,
		`{"digits":` + strings.Repeat("7", 60000) + `}`,
	} {
		session, pair := k.create(t, sessionstore.CreateParams{Data: []byte(data)})
		got, _, err := k.Get(t.Context(), string(pair.AccessToken))
		if err != nil {
			t.Fatalf("%.60s: %v", data, err)
		}
		if sum, err := sessionstore.Checksum(got.Data); err != nil || sum != session.Checksum {
			t.Errorf("%.60s: what comes back has another checksum (%v)", data, err)
		}
		if len(got.Data) > 2*sessionstore.MaxDataBytes {
			t.Errorf("%.60s: %d bytes come back", data, len(got.Data))
		}
	}
}
