package sessionstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// witness is an observer that records what it is notified of.
type witness struct {
	name string
	said *testimony
}

type testimony struct {
	mu    sync.Mutex
	lines []string
}

type witnessed struct{ name string }

func (w witness) Begin(ctx context.Context, operation sessionstore.Operation) context.Context {
	w.said.say(w.name + " begins " + string(operation))
	return context.WithValue(ctx, witnessed{w.name}, true)
}

func (w witness) End(ctx context.Context, r sessionstore.Result) {
	line := w.name + " ends " + string(r.Operation)
	if r.Operation == sessionstore.OperationRefresh && r.Err == nil {
		line += " " + r.Outcome.String()
	}
	if r.Revoked > 0 {
		line += " revoked"
	}
	if r.Err != nil {
		line += " failed"
	}
	if ctx.Value(witnessed{w.name}) == nil {
		line += " in another context"
	}
	w.said.say(line)
}

func (t *testimony) say(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
}

// take returns what was recorded, and forgets it.
func (t *testimony) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := t.lines
	t.lines = nil
	return lines
}

func TestObserversAreTold(t *testing.T) {
	t.Parallel()
	said := &testimony{}
	cfg := config()
	cfg.Observers = []sessionstore.Observer{witness{"a", said}, witness{"b", said}}
	s := setupWith(t, cfg)
	ctx := t.Context()
	want := func(operation, end string) {
		t.Helper()
		if diff := cmp.Diff([]string{"a begins " + operation, "b begins " + operation, "b ends " + end, "a ends " + end}, said.take()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}

	session, pair, err := s.Create(ctx, sessionstore.CreateParams{Subject: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	want("create", "create")
	for name, do := range map[string]func() error{
		"get":    func() error { _, _, err := s.Get(ctx, string(pair.AccessToken)); return err },
		"load":   func() error { _, err := s.Load(ctx, session.ID); return err },
		"list":   func() error { _, err := s.List(ctx, "ada", sessionstore.ListParams{}); return err },
		"update": func() error { _, err := s.Update(ctx, session.ID, session.Checksum, []byte(`{"a":1}`)); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
		want(name, name)
	}
	if _, err := s.RefreshTokens(ctx, string(pair.RefreshToken), sessionstore.Client{}); err != nil {
		t.Fatal(err)
	}
	want("refresh", "refresh rotated")
	if _, err := s.RefreshTokens(ctx, "nonsense", sessionstore.Client{}); !errors.Is(err, tokens.ErrInvalid) {
		t.Fatal(err)
	}
	want("refresh", "refresh failed")
	if err := s.RevokeToken(ctx, string(pair.RefreshToken)); err != nil {
		t.Fatal(err)
	}
	want("revoke", "revoke revoked")
	if err := s.Invalidate(ctx, session.ID); err != nil {
		t.Fatal(err)
	}
	want("revoke", "revoke")
	if err := s.InvalidateOwn(ctx, "bob", session.ID); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Fatal(err)
	}
	want("revoke", "revoke failed")
	if _, err := s.InvalidateSubject(ctx, "ada", uuid.Nil); err != nil {
		t.Fatal(err)
	}
	want("revoke", "revoke")
}

// Observers learn which client a session belongs to, by each operation on one session that
// finds it out.
func TestObserversAreToldTheClient(t *testing.T) {
	t.Parallel()
	results := make(chan sessionstore.Result, 8)
	cfg := config()
	cfg.Observers = []sessionstore.Observer{resultsTo{results}}
	cfg.Clients = []sessionstore.OAuthClient{{ID: "agent"}}
	k := setupWith(t, cfg)
	for given, want := range map[string]string{"": "app", "agent": "agent"} {
		told := func(operation string) {
			t.Helper()
			if r := <-results; r.ClientID != want {
				t.Errorf("%s of a session of %s: %q was told", operation, want, r.ClientID)
			}
		}
		session, pair := k.create(t, sessionstore.CreateParams{ClientID: given})
		told("create")
		k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
		told("refresh")
		k.refresh(t, pair.RefreshToken, sessionstore.Raced)
		told("refresh again")
		k.patch(t, session.ID, sessionstore.Patch{Label: new("desk")})
		told("patch")
		_, checksum, err := k.LoadClaims(t.Context(), session.ID)
		if <-results; err != nil {
			t.Fatal(err)
		}
		if _, err := k.SetClaims(t.Context(), session.ID, checksum, []byte(`{"role":"editor"}`), sessionstore.SetClaimsOptions{}); err != nil {
			t.Fatal(err)
		}
		told("set claims")
		if err := k.Invalidate(t.Context(), session.ID); err != nil {
			t.Fatal(err)
		}
		told("revoke")
	}
	session, pair := k.create(t, sessionstore.CreateParams{ClientID: "agent"})
	k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	k.exec(t, `UPDATE "sessionStoreToken" SET "generation" = 5 WHERE "session" = $1`, session.ID)
	_, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
	if reuse, ok := errors.AsType[*sessionstore.ReuseError](err); !ok || reuse.ClientID != "agent" {
		t.Errorf("%+v", err)
	}
}

// Where several sessions end at once, observers learn how many each client had.
func TestObserversAreToldTheClientsOfSeveral(t *testing.T) {
	t.Parallel()
	results := make(chan sessionstore.Result, 1)
	cfg := config()
	cfg.SessionsPerSubject = 3
	cfg.Observers = []sessionstore.Observer{resultsTo{results}}
	cfg.Clients = []sessionstore.OAuthClient{{ID: "agent"}}
	k := setupWith(t, cfg)
	create := func(subject string, clientIDs ...string) (told map[string]int64) {
		t.Helper()
		for _, id := range clientIDs {
			k.create(t, sessionstore.CreateParams{Subject: subject, ClientID: id})
			told = (<-results).RevokedByClient
		}
		return told
	}
	want := func(what string, want, got map[string]int64) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}

	want("creations within the limit", nil, create("ada", "agent", "app", "app"))
	want("a creation at the limit", map[string]int64{"agent": 1}, create("ada", "app"))
	// A row without a client is of a time when there was but one.
	k.exec(t, `UPDATE "sessionStoreToken" SET "client" = NULL WHERE "id" = (SELECT min("id"::text)::uuid FROM "sessionStoreToken" WHERE "revokedAt" IS NULL)`)
	for _, expected := range []map[string]int64{{"app": 3}, nil} {
		if _, err := k.InvalidateSubject(t.Context(), "ada", uuid.Nil); err != nil {
			t.Fatal(err)
		}
		want("sign-out everywhere", expected, (<-results).RevokedByClient)
	}

	create("ada", "agent", "app")
	create("bob", "agent", "agent")
	if _, err := k.InvalidateAll(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	want("sign-out of everyone", map[string]int64{"app": 1, "agent": 3}, (<-results).RevokedByClient)
}
