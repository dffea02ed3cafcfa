package events_test

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// The events of a session arrive in order, with their details.
func TestEvents(t *testing.T) {
	t.Parallel()
	k, r := setup(t), newReceiver(t)
	k.run(t, endpointOf("receiver", r.URL))

	guest := k.create(t, sessionstore.CreateParams{ClientID: "agent", Client: sessionstore.Client{Label: "phone", UserAgent: "UA", IP: "192.0.2.1"}})
	ada, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: guest}, sessionstore.CreateParams{
		Subject: "ada", Data: []byte(`{}`), Claims: []byte(`{"role":"editor"}`), Actor: &tokens.Actor{Subject: "support-7", Actor: &tokens.Actor{Subject: "bot", Issuer: "https://staff.example.com"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	act := map[string]any{"sub": "support-7", "act": map[string]any{"sub": "bot", "iss": "https://staff.example.com"}}
	_, sum, err := k.LoadClaims(t.Context(), ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.SetClaims(t.Context(), ada.ID, sum, []byte(`{"role":"admin"}`), sessionstore.SetClaimsOptions{Supersede: true}); err != nil {
		t.Fatal(err)
	}
	k.end(t, ada.ID)

	of := map[string][]told{}
	for _, e := range r.await(5) {
		if e.Timestamp.IsZero() || uuid.Validate(e.id) != nil {
			t.Errorf("%+v", e)
		}
		of[e.session()] = append(of[e.session()], told{Type: e.Type, Data: e.Data})
	}
	want := map[string][]told{
		guest.String(): {
			{Type: events.TypeCreated, Data: map[string]any{"session_id": guest.String(), "client_id": "agent", "client": map[string]any{"label": "phone", "user_agent": "UA", "ip": "192.0.2.1"}}},
			{Type: events.TypeEnded, Data: map[string]any{"session_id": guest.String(), "client_id": "agent", "reason": "replaced", "by": ada.ID.String()}},
		},
		ada.ID.String(): {
			{Type: events.TypeCreated, Data: map[string]any{"session_id": ada.ID.String(), "subject": "ada", "client_id": "app", "act": act, "client": map[string]any{"label": "phone"}, "first_seen": []any{"label"}, "replaces": guest.String()}},
			{Type: events.TypeClaimsChanged, Data: map[string]any{"session_id": ada.ID.String(), "subject": "ada", "client_id": "app", "act": act}},
			{Type: events.TypeEnded, Data: map[string]any{"session_id": ada.ID.String(), "subject": "ada", "client_id": "app", "act": act, "reason": "backend", "by": "web"}},
		},
	}
	if diff := cmp.Diff(want, of, cmp.AllowUnexported(told{})); diff != "" {
		t.Error(diff)
	}
	k.await(t, `SELECT count(*) = 0 FROM "sessionStoreDelivery"`)
}

// A session's event says what about its client is new to its subject: what neither a live
// session nor an ended one had when it was created or refreshed. Other subjects' sessions do
// not count.
func TestFirstSeen(t *testing.T) {
	t.Parallel()
	k, r := setup(t), newReceiver(t)
	k.run(t, endpointOf("receiver", r.URL))
	phone := sessionstore.Client{Label: "phone", UserAgent: "app/1", IP: "192.0.2.1"}
	var ids []uuid.UUID
	want := map[string]any{}
	signIn := func(subject string, client sessionstore.Client, firstSeen ...any) {
		id := k.create(t, sessionstore.CreateParams{Subject: subject, Client: client})
		ids = append(ids, id)
		want[id.String()] = nil
		if firstSeen != nil {
			want[id.String()] = firstSeen
		}
	}
	signIn("eve", phone, "label", "user_agent", "ip")
	signIn("ada", phone, "label", "user_agent", "ip")
	signIn("ada", phone)
	for _, id := range ids[1:] { // ended ones count as well
		k.end(t, id)
	}
	signIn("ada", sessionstore.Client{Label: "phone", UserAgent: "app/1", IP: "192.0.2.9"}, "ip")
	k.exec(t, `UPDATE "sessionStoreToken" SET "clientUserAgent" = 'app/2', "clientIp" = '2001:db8::1' WHERE "session" = $1`, ids[len(ids)-1])
	signIn("ada", sessionstore.Client{Label: "phone", UserAgent: "app/2", IP: "2001:db8::1"})
	signIn("ada", sessionstore.Client{Label: "laptop", UserAgent: "app/2"}, "label")
	signIn("ada", sessionstore.Client{})
	signIn("", phone)
	signIn("", phone)
	for range 60 { // only the last sessions are compared with
		signIn("ada", sessionstore.Client{})
	}
	signIn("ada", sessionstore.Client{Label: "laptop"}, "label")

	got := map[string]any{}
	for _, e := range r.await(len(ids) + 2) {
		if e.Type == events.TypeCreated {
			got[e.session()] = e.Data["first_seen"]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A session that expired ended at that time, whatever ends it later.
func TestEndOfExpiredSession(t *testing.T) {
	t.Parallel()
	k, r := setup(t), newReceiver(t)
	k.run(t, endpointOf("receiver", r.URL))
	id := k.create(t, sessionstore.CreateParams{})
	k.exec(t, `UPDATE "sessionStoreToken" SET "expiresAt" = now() - interval '1 h' WHERE "session" = $1`, id)
	k.end(t, id)
	if ended := r.await(2)[1]; ended.Data["reason"] != "idle" || ended.Data["by"] != nil {
		t.Errorf("%+v", ended)
	}
}

// When all users were signed out, each session's end is reported once its row is changed, as it ended.
func TestEndWithEverybody(t *testing.T) {
	t.Parallel()
	k, r := setup(t), newReceiver(t)
	if is, err := k.TellsEvents(t.Context()); is || err != nil {
		t.Errorf("there were events before: %v, %v", is, err)
	}
	k.run(t, endpointOf("receiver", r.URL))
	if is, err := k.TellsEvents(t.Context()); !is || err != nil {
		t.Errorf("there are no events: %v, %v", is, err)
	}
	id := k.create(t, sessionstore.CreateParams{})
	if err := k.SignOutAll(t.Context(), sessionstore.Cause{Reason: sessionstore.ReasonAllSignedOut, By: "grace@ops"}); err != nil {
		t.Fatal(err)
	}
	var at time.Time
	if err := k.pool.QueryRow(t.Context(), `SELECT "at" FROM "sessionStoreEra"`).Scan(&at); err != nil {
		t.Fatal(err)
	}
	if n, err := k.RevokeSignedOut(t.Context(), nil); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	ended := r.await(2)[1]
	if ended.session() != id.String() || ended.Data["reason"] != "all_signed_out" || ended.Data["by"] != "grace@ops" || !ended.Timestamp.Truncate(time.Millisecond).Equal(at.Truncate(time.Millisecond)) {
		t.Errorf("%+v, want it at %v", ended, at)
	}
}

// Without an endpoint, sessions record nothing.
func TestNothingIsNotedWithoutEndpoints(t *testing.T) {
	t.Parallel()
	k := setup(t)
	runner, err := events.New(config(k.pool))
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Run(t.Context()); err != nil {
		t.Error(err)
	}
	k.create(t, sessionstore.CreateParams{})
	k.await(t, `SELECT count(*) = 1 AND count("createdXid") = 0 FROM "sessionStore"`)
}

// An endpoint gets the events that it subscribes to.
func TestFilters(t *testing.T) {
	t.Parallel()
	k, ends, agents := setup(t), newReceiver(t), newReceiver(t)
	wantsEnds, wantsAgents := endpointOf("ends", ends.URL), endpointOf("agents", agents.URL)
	wantsEnds.Types, wantsAgents.Clients = []events.Type{events.TypeEnded}, []string{"agent"}
	k.run(t, wantsEnds, wantsAgents)
	app, agent := k.create(t, sessionstore.CreateParams{}), k.create(t, sessionstore.CreateParams{ClientID: "agent"})
	k.end(t, app)
	k.end(t, agent)

	ends.await(2)
	agents.await(2)
	k.await(t, `SELECT count(*) = 0 FROM "sessionStoreDelivery"`)
	for _, e := range ends.all() {
		if e.Type != events.TypeEnded {
			t.Errorf("not wanted: %+v", e)
		}
	}
	for _, e := range agents.all() {
		if e.session() != agent.String() {
			t.Errorf("not wanted: %+v", e)
		}
	}
}

// Transactions commit in any order. None is missed, and none is reported twice.
func TestLateCommit(t *testing.T) {
	t.Parallel()
	k, r := setup(t), newReceiver(t)
	k.run(t, endpointOf("receiver", r.URL))
	late, soon := k.create(t, sessionstore.CreateParams{}), k.create(t, sessionstore.CreateParams{})
	r.await(2)

	tx, err := k.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`, late); err != nil {
		t.Fatal(err)
	}
	k.end(t, soon)
	r.await(3)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.await(4); got[2].session() != soon.String() || got[3].session() != late.String() {
		t.Errorf("%+v", got)
	}
	k.end(t, k.create(t, sessionstore.CreateParams{}))
	if got := r.await(6); len(got) != 6 {
		t.Errorf("%+v", got)
	}
}

// The later events of a session wait for one that cannot be delivered, and others do not.
func TestOrderOfFailures(t *testing.T) {
	t.Parallel()
	k, r := setup(t), newReceiver(t)
	var failures int
	stuck := k.create(t, sessionstore.CreateParams{}) // before there is an endpoint
	r.answer = func(e told) int {
		r.mu.Lock()
		defer r.mu.Unlock()
		if e.Type == events.TypeClaimsChanged && failures < 1 {
			failures++
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	k.run(t, endpointOf("receiver", r.URL))
	_, sum, err := k.LoadClaims(t.Context(), stuck)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.SetClaims(t.Context(), stuck, sum, []byte(`{"a":1}`), sessionstore.SetClaimsOptions{Supersede: true}); err != nil {
		t.Fatal(err)
	}
	k.await(t, `SELECT count(*) = 1 FROM "sessionStoreDelivery" WHERE "lastError" = 'the endpoint answered 500'`)
	k.end(t, stuck)
	k.create(t, sessionstore.CreateParams{})
	got := r.await(3)
	if got[0].Type != events.TypeCreated || got[1].Type != events.TypeClaimsChanged || got[2].Type != events.TypeEnded {
		t.Errorf("%+v", got)
	}
}

// A hanging endpoint delays no other endpoint's events.
func TestHangingEndpoint(t *testing.T) {
	t.Parallel()
	k, r, hangs := setup(t), newReceiver(t), newReceiver(t)
	hung := make(chan struct{})
	defer close(hung)
	hangs.answer = func(told) int {
		<-hung
		return http.StatusServiceUnavailable
	}
	k.run(t, endpointOf("hangs", hangs.URL), endpointOf("receiver", r.URL))
	for range 20 {
		k.end(t, k.create(t, sessionstore.CreateParams{}))
	}
	r.await(40)
	k.await(t, `SELECT count(*) = 40 AND bool_and("endpoint" = 'hangs') FROM "sessionStoreDelivery"`)
	k.await(t, `SELECT count(*) > 0 FROM "sessionStoreDelivery" WHERE "lastError" = 'the endpoint did not answer in time'`)
}

// Whatever fails when the database is unusable, it is logged once that events wait, and once
// that they continue.
func TestFailuresAreSaidOnce(t *testing.T) {
	t.Parallel()
	k, log := setup(t), &said{}
	cfg := config(k.pool, endpointOf("one", "http://localhost:1"), endpointOf("two", "http://localhost:1"), endpointOf("three", "http://localhost:1"))
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	runner, err := events.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop := k.start(t, runner)
	failing := func(what string, isSo func(n int) bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !isSo(runner.Failing()); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d fail, not %s:\n%s", runner.Failing(), what, log)
			}
		}
	}
	for range 2 {
		k.exec(t, `ALTER TABLE "sessionStoreDelivery" RENAME TO "away"`)
		// The loop that derives events, each endpoint's deliveries, and the removal of old ones if it is due.
		failing("four or five", func(n int) bool { return n >= 4 })
		k.exec(t, `ALTER TABLE "away" RENAME TO "sessionStoreDelivery"`)
		failing("none", func(n int) bool { return n == 0 })
	}
	stop()
	if text := log.String(); strings.Count(text, "\n") != 4 || strings.Count(text, `level=WARN msg="events wait"`) != 2 || strings.Count(text, `level=INFO msg="events continue"`) != 2 {
		t.Errorf("said:\n%s", text)
	}
}

// said is a log that is read while it is written.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (k kit) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := k.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}
