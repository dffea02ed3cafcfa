package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/client"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

const (
	// readingKey has the right read alone.
	readingKey = "abcdef0123456789abcdef0123456789"
	// perSubject is how many sessions a subject may have.
	perSubject = 5
)

// service is a built one on a database, and what it has answered.
type service struct {
	*testservice.Service
	t        *testing.T
	database string

	mu     sync.Mutex
	served map[string]bool // names of operations that were answered with 2xx
}

func start(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, database: testdb.URL(t), served: map[string]bool{}}
	s.Service = testservice.Start(t, t.TempDir(), testservice.OnDatabase(t, s.database).With(testservice.Env{
		"LATCHKEY_SERVICE_KEYS":         "backend:" + testservice.Key + ",reader:" + readingKey + ":read",
		"LATCHKEY_SESSIONS_PER_SUBJECT": strconv.Itoa(perSubject), "LATCHKEY_SESSIONS_PER_SUBJECT_ACTION": "refuse",
	}))
	t.Cleanup(s.Stop)
	return s
}

// client returns one with a key. Requests may be spoilt on their way.
func (s *service) client(key string, spoil ...func(*http.Request)) *client.Client {
	s.t.Helper()
	through := &http.Transport{}
	s.t.Cleanup(through.CloseIdleConnections)
	c, err := client.New(s.Internal, key, client.WithTransport(transport(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		for _, spoil := range spoil {
			spoil(r)
		}
		response, err := through.RoundTrip(r)
		if err == nil && response.StatusCode/100 == 2 {
			s.note(r)
		}
		return response, err
	})))
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *service) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for template, item := range describe(s.t).Paths.Map() {
		operation := item.GetOperation(r.Method)
		pattern := strings.Split(template, "/")
		parts := strings.Split(r.URL.Path, "/")
		if operation != nil && slices.EqualFunc(pattern, parts, func(a, b string) bool { return a == b || a == "{id}" && uuid.Validate(b) == nil }) {
			s.served[operation.OperationID] = true
		}
	}
}

func create(t *testing.T, c *client.Client, session client.NewSession) client.CreatedSession {
	t.Helper()
	created, err := c.CreateSession(t.Context(), session)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

// Each operation does what its comment says, on a service that runs.
func TestService(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.client(testservice.Key)
	for name, test := range map[string]func(*testing.T, *service, *client.Client){
		"session": testSession, "replace": testReplace, "data": testData, "claims": testClaims, "lists": testLists,
		"end": testEnd, "events": testEvents, "revocations": testRevocations, "service": testItself,
	} {
		if !t.Run(name, func(t *testing.T) { test(t, s, c) }) {
			return
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(operations(t))), slices.Sorted(maps.Keys(s.served))); diff != "" {
		t.Errorf("not every operation was tried: %s", diff)
	}
}

func testSession(t *testing.T, s *service, c *client.Client) {
	t.Helper()
	ctx := t.Context()
	created := create(t, c, client.NewSession{
		Subject: "ada", Data: client.Data(`{"items":["tea"],"total":1.10}`), Claims: client.Claims(`{"role":"editor","scope":"read"}`),
		ACR: "urn:example:gold", AMR: client.AMR{"pwd", "otp"}, Act: &client.Actor{Sub: "support-7"},
		SessionTTL: 3600, RefreshTokenTTL: new(int64(0)), Client: client.NewDevice{Label: "Firefox", IP: "203.0.113.7"},
	})
	if created.AccessToken == "" || created.RefreshToken == "" || created.TokenType != "Bearer" || created.ExpiresIn == 0 || created.Scope != "read" {
		t.Errorf("created: %+v", created)
	}
	session, data, err := client.Get[cart](ctx, c, created.Session.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(created.Session, session); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(cart{[]string{"tea"}, "1.10"}, data); diff != "" {
		t.Error(diff)
	}
	if session.Client != (client.Device{Label: "Firefox", IP: "203.0.113.7"}) || session.Act.Sub != "support-7" || session.Ended != nil || !session.RevokedAt.IsZero() {
		t.Errorf("%+v", session)
	}
	active, err := c.IntrospectToken(ctx, client.IntrospectionRequest{Token: created.AccessToken})
	if err != nil || !active.Active || active.Sub != "ada" || active.SID != session.ID || active.Session.Checksum != session.Checksum ||
		!cmp.Equal(active.Aud, client.Audience{"latchkey"}) || active.Iss != "https://login.example.com" {
		t.Errorf("%+v, %v", active, err)
	}
	if none, err := c.IntrospectToken(ctx, client.IntrospectionRequest{Token: created.RefreshToken}); err != nil || none.Active {
		t.Errorf("%+v, %v", none, err)
	}
	patched, err := c.PatchSession(ctx, session.ID, client.SessionPatch{SessionTTL: 7200, Client: client.DevicePatch{Label: new("")}})
	if err != nil || patched.Client.Label != "" || !patched.ExpiresAt.After(session.ExpiresAt) {
		t.Errorf("%+v, %v", patched, err)
	}
	history, err := c.SessionHistory(ctx, session.ID)
	if err != nil || history.Created.At != session.CreatedAt || history.Refreshed.Times != 0 || history.Updated != nil || history.Ended != nil {
		t.Errorf("%+v, %v", history, err)
	}
	if short := create(t, c, client.NewSession{RefreshToken: new(false)}); short.RefreshToken != "" {
		t.Error("a session that was to have no refresh token has one")
	}
	if seen, err := s.client(readingKey).Session(ctx, session.ID); err != nil || seen.Data != nil || seen.Checksum != "" {
		t.Errorf("without the right: %+v, %v", seen, err)
	}
	first, err := c.CreateSessionOnce(ctx, "import-1", client.NewSession{Subject: "once"})
	if err != nil {
		t.Fatal(err)
	}
	if second, err := c.CreateSessionOnce(ctx, "import-1", client.NewSession{Subject: "once"}); err != nil || second.Session.ID != first.Session.ID {
		t.Errorf("a second session: %v", err)
	}
}

func testReplace(t *testing.T, _ *service, c *client.Client) {
	t.Helper()
	guest := create(t, c, client.NewSession{Data: client.Data(`{"items":["tea"]}`)})
	user := create(t, c, client.NewSession{Subject: "grace", Replaces: string(guest.AccessToken)})
	if data, err := client.Decode[cart](user.Session.Data); err != nil || len(data.Items) != 1 {
		t.Errorf("%v, %v", data, err)
	}
	before, err := c.Session(t.Context(), guest.Session.ID)
	if err != nil || before.Ended.Reason != client.EndedReasonReplaced || before.Ended.By != user.Session.ID.String() {
		t.Errorf("%+v, %v", before.Ended, err)
	}
}

func testData(t *testing.T, _ *service, c *client.Client) {
	t.Helper()
	ctx, session := t.Context(), create(t, c, client.NewSession{}).Session
	checksum, err := c.PutSessionData(ctx, session.ID, session.Checksum, client.Data(`{"items":["tea"]}`))
	if err != nil || checksum == session.Checksum {
		t.Fatal(checksum, err)
	}
	_, err = c.PutSessionData(ctx, session.ID, session.Checksum, client.Data(`{}`))
	if !errors.Is(err, client.ErrConflict) || errOf(t, err).Checksum != checksum {
		t.Error(err)
	}
	// Of many changes at once none is lost.
	const atOnce = 8
	var all sync.WaitGroup
	for n := range atOnce {
		all.Go(func() {
			if _, err := client.Update(ctx, c, session.ID, func(v *cart) error {
				v.Items = append(v.Items, strconv.Itoa(n))
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	_, data, err := client.Get[cart](ctx, c, session.ID)
	slices.Sort(data.Items)
	if diff := cmp.Diff([]string{"0", "1", "2", "3", "4", "5", "6", "7", "tea"}, data.Items); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func testClaims(t *testing.T, _ *service, c *client.Client) {
	t.Helper()
	type claims struct {
		Role string `json:"role"`
	}
	ctx, created := t.Context(), create(t, c, client.NewSession{Claims: client.Claims(`{"role":"reader"}`)})
	id := created.Session.ID
	text, checksum, err := c.SessionClaims(ctx, id)
	if err != nil || string(text) != `{"role":"reader"}` {
		t.Fatal(string(text), err)
	}
	next, err := c.PutSessionClaims(ctx, id, checksum, client.Claims(`{"role":"author"}`), false)
	if err != nil || next == checksum {
		t.Error(next, err)
	}
	if _, err := c.PutSessionClaims(ctx, id, checksum, client.Claims(`{}`), false); !errors.Is(err, client.ErrConflict) || errOf(t, err).Checksum != next {
		t.Error(err)
	}
	if is, err := c.IntrospectToken(ctx, client.IntrospectionRequest{Token: created.AccessToken}); err != nil || !is.Active {
		t.Errorf("%+v, %v", is, err)
	}
	got, err := client.UpdateClaims(ctx, c, id, true, func(own *claims) error {
		own.Role += " and editor"
		return nil
	})
	if err != nil || got.Role != "author and editor" {
		t.Error(got, err)
	}
	if is, err := c.IntrospectToken(ctx, client.IntrospectionRequest{Token: created.AccessToken}); err != nil || is.Active {
		t.Errorf("superseded: %+v, %v", is, err)
	}
}

func testLists(t *testing.T, _ *service, c *client.Client) {
	t.Helper()
	var want []uuid.UUID
	for range perSubject {
		want = append(want, create(t, c, client.NewSession{Subject: "lists", Client: client.NewDevice{Label: "Till", IP: "198.51.100.4"}}).Session.ID)
	}
	slices.Reverse(want)
	for _, filter := range []client.SessionFilter{
		{Subject: "lists", Limit: 2}, {Label: "Till", Limit: 3}, {Address: "198.51.100.0/24"},
	} {
		var ids []uuid.UUID
		for session, err := range c.Sessions(t.Context(), filter) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, session.ID)
		}
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Errorf("%+v: %s", filter, diff)
		}
	}
	page, err := c.ListSessions(t.Context(), client.SessionFilter{Subject: "lists", Limit: 2})
	if err != nil || len(page.Sessions) != 2 || page.NextCursor == "" {
		t.Errorf("%+v, %v", page, err)
	}
}

func testEnd(t *testing.T, _ *service, c *client.Client) {
	t.Helper()
	ctx := t.Context()
	one := create(t, c, client.NewSession{Subject: "end"})
	for range 2 {
		if err := c.EndSession(ctx, one.Session.ID); err != nil {
			t.Error(err)
		}
	}
	ended, err := c.Session(ctx, one.Session.ID)
	if err != nil || ended.Ended == nil || ended.Ended.Reason != client.EndedReasonBackend || ended.Ended.By != "backend" {
		t.Errorf("%+v, %v", ended.Ended, err)
	}
	if is, err := c.IntrospectToken(ctx, client.IntrospectionRequest{Token: one.AccessToken}); err != nil || is.Active {
		t.Errorf("%+v, %v", is, err)
	}
	for range 2 {
		create(t, c, client.NewSession{Subject: "end"})
	}
	if n, err := c.EndSessions(ctx, "end"); n != 2 || err != nil {
		t.Error(n, err)
	}
	create(t, c, client.NewSession{Subject: "end"})
	if err := c.RevokeGlobally(ctx, client.SubjectIdentifier{Format: client.SubjectIdentifierFormatOpaque, ID: "end"}); err != nil {
		t.Error(err)
	}
	n := 0
	for session, err := range c.Sessions(ctx, client.SessionFilter{Subject: "end", Ended: true, Since: ended.Ended.At}) {
		if err != nil || session.Ended == nil {
			t.Errorf("%+v, %v", session, err)
		}
		n++
	}
	if n != 4 {
		t.Errorf("%d sessions have ended", n)
	}
}

func testEvents(t *testing.T, s *service, c *client.Client) {
	t.Helper()
	ctx := t.Context()
	db, err := pgx.Connect(ctx, s.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
	if _, err := db.Exec(ctx, `
INSERT INTO "sessionStoreDelivery" ("endpoint", "session", "event", "type", "at", "facts", "madeAt", "dueAt", "attempts", "deadAt", "lastError")
SELECT CASE WHEN n < 3 THEN 'crm' ELSE 'chat' END, gen_random_uuid(), gen_random_uuid(), 'session.ended', now(), '{}', now(), now(), 34, now(),
  'the endpoint answered 500' FROM generate_series(1, 4) n`); err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for event, err := range c.DeadEvents(ctx, client.DeadEventFilter{Limit: 3}) {
		if err != nil || event.Attempts != 34 || event.Error != "the endpoint answered 500" {
			t.Fatalf("%+v, %v", event, err)
		}
		ids = append(ids, event.ID)
	}
	if len(ids) != 4 {
		t.Fatalf("deliveries %v", ids)
	}
	for _, resend := range []struct {
		which client.Resend
		want  int64
	}{{client.Resend{IDs: ids[:1]}, 1}, {client.Resend{Endpoint: "crm"}, 2}, {client.Resend{}, 1}, {client.Resend{}, 0}} {
		if n, err := c.ResendDeadEvents(ctx, resend.which); n != resend.want || err != nil {
			t.Errorf("%+v: %d, %v", resend.which, n, err)
		}
	}
	if _, err := c.ResendDeadEvents(ctx, client.Resend{IDs: []int64{}}); !errors.Is(err, client.ErrInvalidArgument) {
		t.Error(err)
	}
}

func testRevocations(t *testing.T, _ *service, c *client.Client) {
	t.Helper()
	ended := create(t, c, client.NewSession{}).Session.ID
	if err := c.EndSession(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	told := false
	testservice.Await(t, "the revocation", func() bool {
		for since := ""; ; {
			revocations, err := c.Revocations(t.Context(), client.RevocationsQuery{Since: since})
			if err != nil || revocations.Cursor == "" {
				t.Fatal(revocations, err)
			}
			told = told || slices.ContainsFunc(revocations.Sessions, func(r client.Revocation) bool { return r.ID == ended })
			if !revocations.More {
				return told
			}
			since = revocations.Cursor
		}
	})
}

func testItself(t *testing.T, _ *service, c *client.Client) {
	t.Helper()
	ctx := t.Context()
	if err := errors.Join(c.Livez(ctx), c.Readyz(ctx)); err != nil {
		t.Error(err)
	}
	if index, err := c.Index(ctx); err != nil || index.Service != "Latchkey" || index.Listener != "internal" {
		t.Errorf("%+v, %v", index, err)
	}
	if text, err := c.Description(ctx); err != nil || !bytes.Contains(text, []byte("openapi: 3.0.3")) {
		t.Errorf("%.80s, %v", text, err)
	}
	if text, err := c.Metrics(ctx); err != nil || !bytes.Contains(text, []byte("# TYPE latchkey_")) {
		t.Errorf("%.80s, %v", text, err)
	}
}

// Each code that the service can be made to return becomes its error.
func TestServiceRefuses(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.client(testservice.Key)
	ctx := t.Context()
	live := create(t, c, client.NewSession{Subject: "ada"}).Session
	for range perSubject {
		create(t, c, client.NewSession{Subject: "many"}) // as many as it may
	}
	once := func(c *client.Client, subject string) error {
		_, err := c.CreateSessionOnce(ctx, "once", client.NewSession{Subject: subject})
		return err
	}
	if err := once(c, ""); err != nil {
		t.Fatal(err)
	}
	ended := create(t, c, client.NewSession{}).Session
	if err := c.EndSession(ctx, ended.ID); err != nil {
		t.Fatal(err)
	}
	session := func(c *client.Client) error {
		_, err := c.Session(ctx, live.ID)
		return err
	}
	put := func(id uuid.UUID, checksum, data string) func(*client.Client) error {
		return func(c *client.Client) error {
			_, err := c.PutSessionData(ctx, id, checksum, client.Data(data))
			return err
		}
	}
	creation := func(session client.NewSession) func(*client.Client) error {
		return func(c *client.Client) error {
			_, err := c.CreateSession(ctx, session)
			return err
		}
	}
	query := func(text string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery = text } }
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	body := func(text string) func(*http.Request) {
		return func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		}
	}
	refused := map[string]struct {
		call  func(*client.Client) error
		key   string // the full one where it is empty
		spoil func(*http.Request)
	}{
		"body_too_large":    {call: put(live.ID, live.Checksum, `{"a":"`+strings.Repeat("a", 1<<20)+`"}`)},
		"checksum_mismatch": {call: put(live.ID, "another", `{}`)},
		"duplicate_member":  {call: put(live.ID, live.Checksum, `{"a":1,"a":2}`)},
		"duplicate_parameter": {call: func(c *client.Client) error {
			_, err := c.ListSessions(ctx, client.SessionFilter{})
			return err
		}, spoil: query("limit=1&limit=2")},
		"idempotency_key_reused": {call: func(c *client.Client) error { return once(c, "another") }},
		"invalid_member":         {call: creation(client.NewSession{Subject: strings.Repeat("a", 256)})},
		"invalid_parameter": {call: func(c *client.Client) error {
			_, err := c.ListSessions(ctx, client.SessionFilter{Limit: -1})
			return err
		}},
		"invalid_service_key":   {call: session, key: "another"},
		"malformed_body":        {call: put(live.ID, live.Checksum, `{}`), spoil: body("{")},
		"method_not_allowed":    {call: session, spoil: func(r *http.Request) { r.Method = http.MethodPost }},
		"missing_right":         {call: creation(client.NewSession{}), key: readingKey},
		"missing_service_key":   {call: session, spoil: header("Authorization")},
		"not_replaceable":       {call: creation(client.NewSession{Replaces: ended.ID.String()})},
		"precondition_required": {call: put(live.ID, live.Checksum, `{}`), spoil: header("If-Match")},
		"route_not_found":       {call: session, spoil: func(r *http.Request) { r.URL.Path = "/v2" }},
		"session_ended":         {call: put(ended.ID, ended.Checksum, `{"a":1}`)},
		"session_not_found":     {call: put(id, live.Checksum, `{"a":1}`)},
		"subject_not_found": {call: func(c *client.Client) error {
			return c.RevokeGlobally(ctx, client.SubjectIdentifier{Format: client.SubjectIdentifierFormatOpaque, ID: "nobody"})
		}},
		"token_in_query":         {call: session, spoil: query("access_token=a")},
		"too_many_sessions":      {call: creation(client.NewSession{Subject: "many"})},
		"unavailable":            {}, // TestServiceIsUnavailable
		"unknown_member":         {call: creation(client.NewSession{}), spoil: body(`{"colour":"red"}`)},
		"unknown_parameter":      {call: session, spoil: query("colour=red")},
		"unsupported_media_type": {call: creation(client.NewSession{}), spoil: header("Content-Type", "text/plain")},
	}
	for code, want := range codes {
		is, ok := refused[code]
		switch {
		case slices.Contains([]string{"client_closed_request", "internal_error", "rate_limited", "request_timeout"}, code):
			// Not sent to anyone; a fault; the public listener's; a body that does not arrive. See TestErrors.
			continue
		case !ok:
			t.Errorf("no case covers %s", code)
			continue
		case is.call == nil:
			continue
		}
		key := testservice.Key
		if is.key != "" {
			key = is.key
		}
		var spoil []func(*http.Request)
		if is.spoil != nil {
			spoil = append(spoil, is.spoil)
		}
		err := is.call(s.client(key, spoil...))
		if e := errOf(t, err); e.Code != code || e.Status != want.status || e.RequestID == "" || e.Title == "" {
			t.Errorf("%s: %+v", code, e)
		}
		if want.is != nil && !errors.Is(err, want.is) {
			t.Errorf("%s: is not %q", code, want.is)
		}
	}
	checkIntrospection(t, s)
}

// checkIntrospection is of the errors in the form of RFC 6749 §5.2.
func checkIntrospection(t *testing.T, s *service) {
	t.Helper()
	c := s.client(testservice.Key)
	spoilt := func(name string, values ...string) *client.Client {
		return s.client(testservice.Key, func(r *http.Request) { r.Header[name] = values })
	}
	for code, call := range map[string]func() error{
		"400 invalid_request":     func() error { return introspect(t, c, "") },
		"401 invalid_token":       func() error { return introspect(t, s.client("another"), "a") },
		"401 invalid_client":      func() error { return introspect(t, spoilt("Authorization"), "a") },
		"403 unauthorized_client": func() error { return introspect(t, s.client(readingKey), "a") },
		"413 invalid_request":     func() error { return introspect(t, c, strings.Repeat("a", 1<<20)) },
		"415 invalid_request":     func() error { return introspect(t, spoilt("Content-Type", "text/plain"), "a") },
	} {
		err := call()
		if e := errOf(t, err); fmt.Sprint(e.Status, " ", e.Code) != code || !errors.Is(err, oauthCodes[e.Status].is) && oauthCodes[e.Status].is != nil {
			t.Errorf("%s: %+v", code, e)
		}
	}
}

func introspect(t *testing.T, c *client.Client, token string) error {
	t.Helper()
	_, err := c.IntrospectToken(t.Context(), client.IntrospectionRequest{Token: client.Secret(token)})
	return err
}

// Without a database nothing is known, whatever the request, and the service says when to retry.
func TestServiceIsUnavailable(t *testing.T) {
	t.Parallel()
	s := testservice.StartWithoutDatabase(t)
	c, err := client.New(s.Internal, testservice.Key, client.WithAttempts(1), client.WithTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range calls {
		if name == "livez" {
			continue
		}
		err := call(t.Context(), c)
		if e := errOf(t, err); !errors.Is(err, client.ErrUnavailable) || e.RetryAfter == 0 || e.Code != "unavailable" && e.Code != "temporarily_unavailable" {
			t.Errorf("%s: %+v", name, e)
		}
	}
}
