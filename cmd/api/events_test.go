package main_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/latchkey-sessions/latchkey/internal/auditschema"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// The service sends the endpoints in its file what happens to sessions, signed with the
// secret in a separate file.
func TestEventsAreSent(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	told := make(chan string, 100) // more than are told within a minute
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		verifier, verifierErr := webhooks.NewWebhook(secret)
		if err != nil || verifierErr != nil || verifier.Verify(body, r.Header) != nil {
			t.Errorf("not signed: %s", body)
		}
		var event struct {
			Type string `json:"type"`
			Data struct {
				Subject string `json:"subject"`
				Reason  string `json:"reason"`
			} `json:"data"`
		}
		if err := json.Unmarshal(body, &event); err != nil {
			t.Error(err)
		}
		told <- event.Type + " " + event.Data.Subject + " " + event.Data.Reason
	}))
	defer receiver.Close()
	dir := t.TempDir()
	file := writeFile(t, `[{"name":"crm","url":"`+receiver.URL+`","secret_file":"`+writeFile(t, secret+"\n", dir, "crm")+`"}]`, dir, "events.json")
	s := start(t, t.TempDir(), configure(t, testdb.URL(t)).With(env{"LATCHKEY_EVENTS_FILE": file}))

	// Sessions created before the service sends events are not reported.
	for deadline := time.Now().Add(time.Minute); ; {
		pair := s.CreateSession(testKey, `{"subject":"ada"}`)
		if code, answer := s.Send(http.MethodDelete, s.Internal+"/v1/sessions/"+pair.Session.ID, testKey, nil); code != http.StatusNoContent {
			t.Fatalf("%d %s", code, answer)
		}
		select {
		case event := <-told:
			if event == "session.ended ada backend" {
				continue
			}
			if event != "session.created ada " {
				t.Errorf("told %q", event)
			}
		case <-time.After(2 * time.Second):
			if time.Now().After(deadline) {
				t.Fatal("nothing was reported")
			}
			continue
		}
		break
	}
	if event := <-told; !strings.HasPrefix(event, "session.") {
		t.Errorf("told %q", event)
	}
	if _, metrics := s.Send(http.MethodGet, s.Internal+"/metrics", "", nil); !strings.Contains(metrics, `latchkey_event_deliveries_total{endpoint="crm",outcome="dead"} 0`) {
		t.Error("deliveries are not counted")
	}
	if code, answer := s.Send(http.MethodGet, s.Internal+"/v1/events/dead", testKey, nil); code != http.StatusOK || answer != `{"deliveries":[]}` {
		t.Errorf("dead deliveries: %d %s", code, answer)
	}
}

// Deliveries that were given up are listed and sent again, and the trail names the operator.
func TestDeadEventsAtTheCommandLine(t *testing.T) {
	t.Parallel()
	settings, dir := configure(t, testdb.URL(t)), t.TempDir()
	execute(t, settings["LATCHKEY_DATABASE_URL"], `
INSERT INTO "sessionStoreDelivery" ("endpoint", "session", "event", "type", "at", "facts", "madeAt", "dueAt", "attempts", "deadAt", "lastError")
SELECT CASE WHEN n < 3 THEN 'crm' ELSE 'chat' END, '01930000-0000-7000-8000-000000000000', gen_random_uuid(), 'session.ended',
  '2026-06-20T09:00:00Z', '{}', now(), now(), 34, '2026-06-21T09:00:00Z', 'the endpoint answered 500' FROM generate_series(1, 4) n`)
	const row = "  session.ended  01930000-0000-7000-8000-000000000000  2026-06-20T09:00:00Z  2026-06-21T09:00:00Z  the endpoint answered 500\n"
	want := "ID  ENDPOINT  TYPE           SESSION                               AT                    DEAD                  ERROR\n" +
		"4   chat    " + row + "3   chat    " + row + "2   crm     " + row
	if r := api(t, settings, "events", "dead", "--limit=3"); r.stdout != want || r.stderr != "there are more than these 3: --limit lists more\n" || r.code != 0 {
		t.Errorf("%+v", r)
	}
	var listed struct {
		Deliveries []map[string]any `json:"deliveries"`
	}
	if err := json.Unmarshal([]byte(mustLine(t, settings, "events", "dead", "--endpoint=crm", "--json")), &listed); err != nil {
		t.Fatal(err)
	}
	if len(listed.Deliveries) != 2 || listed.Deliveries[0]["id"] != 2. || listed.Deliveries[0]["session_id"] != "01930000-0000-7000-8000-000000000000" {
		t.Errorf("%v", listed)
	}

	settings["LATCHKEY_AUDIT_LOG"] = filepath.Join(dir, "audit.log")
	for _, c := range []struct {
		args           []string
		stdout, stderr string
		code           int
		audited        map[string]any
	}{
		{[]string{"1", "9"}, "sent 1 delivery again\n", "1 of 2 are not dead deliveries", 1, map[string]any{"count": 1., "delivery_ids": []any{1., 9.}}},
		{[]string{"--all", "--endpoint=chat"}, "sent 2 deliveries again\n", "", 0, map[string]any{"count": 2., "endpoint": "chat"}},
		{[]string{"--all"}, "sent 1 delivery again\n", "", 0, map[string]any{"count": 1., "all": true}},
		{[]string{"--all"}, "sent 0 deliveries again\n", "", 0, nil},
		{nil, "", "by the ids that api events dead lists, or with --all", 1, nil},
		{[]string{"1", "--endpoint=crm"}, "", "--endpoint requires --all", 1, nil},
	} {
		_ = os.Remove(settings["LATCHKEY_AUDIT_LOG"])
		r := api(t, settings, append([]string{"events", "resend"}, c.args...)...)
		if r.stdout != c.stdout || !strings.Contains(r.stderr, c.stderr) || (r.code == 0) != (c.code == 0) {
			t.Errorf("%v: %+v", c.args, r)
		}
		trail, err := os.ReadFile(settings["LATCHKEY_AUDIT_LOG"])
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		var got map[string]any
		for _, event := range auditschema.Events(t, string(trail)) {
			if actor, _ := event["actor"].(map[string]any); event["event"] != "events.sent_again" || actor["type"] != "operator" {
				t.Errorf("%v: %v", c.args, event)
			}
			for _, other := range []string{"time", "id", "event", "actor"} {
				delete(event, other)
			}
			got = event
		}
		if diff := cmp.Diff(c.audited, got); diff != "" {
			t.Errorf("%v: %s", c.args, diff)
		}
	}
	if r := api(t, settings, "events", "dead"); r.stdout != "" || r.stderr != "no dead deliveries\n" || r.code != 0 {
		t.Errorf("%+v", r)
	}
}

// Over HTTP they are, too, and the trail has whose key it was.
func TestDeadEventsOverHTTP(t *testing.T) {
	t.Parallel()
	settings, dir := configure(t, testdb.URL(t)), t.TempDir()
	trail := filepath.Join(dir, "audit.log")
	s := start(t, dir, settings.With(env{"LATCHKEY_AUDIT_LOG": trail}))
	execute(t, settings["LATCHKEY_DATABASE_URL"], `
INSERT INTO "sessionStoreDelivery" ("endpoint", "session", "event", "type", "at", "facts", "madeAt", "dueAt", "attempts", "deadAt", "lastError")
SELECT 'crm', gen_random_uuid(), gen_random_uuid(), 'session.ended', now(), '{}', now(), now(), 34, now(), 'the endpoint answered 500' FROM generate_series(1, 2)`)
	if code, answer := s.Send(http.MethodGet, s.Internal+"/v1/events/dead?limit=1", testKey, nil); code != http.StatusOK || !strings.Contains(answer, `"id":2,"endpoint":"crm"`) || !strings.Contains(answer, `"next_cursor":"2"`) {
		t.Errorf("%d %s", code, answer)
	}
	for _, body := range []string{`{"ids":[1]}`, `{}`} {
		if code, answer := s.Send(http.MethodPost, s.Internal+"/v1/events/dead/resend", testKey, body); code != http.StatusOK || answer != `{"resent":1}` {
			t.Errorf("%s: %d %s", body, code, answer)
		}
	}
	s.End(syscall.SIGINT)
	var got []any
	for _, event := range auditschema.Events(t, readFile(t, trail)) {
		actor, _ := event["actor"].(map[string]any)
		got = append(got, event["event"], actor["type"], event["count"], event["delivery_ids"], event["all"])
	}
	if diff := cmp.Diff([]any{"events.sent_again", "service_key", 1., []any{1.}, nil, "events.sent_again", "service_key", 1., nil, true}, got); diff != "" {
		t.Error(diff)
	}
}

func TestEventsFileThatIsWrong(t *testing.T) {
	t.Parallel()
	settings := configure(t, "postgres://127.0.0.1:1/none")
	const rest = `"url":"https://crm.example.com","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"`
	for content, want := range map[string]string{
		`{}`:                           `at the whole text, which is of another type; it must be a JSON array`,
		`[{` + rest + `}]`:             `at /0/name, which is missing`,
		`[{"name":" x",` + rest + `}]`: `at /0/name, which is " x"`,
		`[{"name":"a",` + rest + `},{"name":"a",` + rest + `}]`:                                                           `at /1/name, which is "a" again`,
		`[{"name":"a","url":"http://hunter2@crm.example.com","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]`:         `at /0/url, which is missing or not an address that events can be sent to`,
		`[{"name":"a","url":"https://crm.example.com"}]`:                                                                  `at /0, which has no secret, or a secret and a secret_file`,
		`[{"name":"a","url":"https://crm.example.com","secret":"whsec_hunter2"}]`:                                         `at /0/secret, which is not usable; it must be whsec_`,
		`[{"name":"a","url":"https://crm.example.com","secret_file":"nowhere"}]`:                                          `at /0/secret_file: open nowhere`,
		`[{"name":"a",` + rest + `,"types":["session.forgotten"]}]`:                                                       `at /0/types/0, which is "session.forgotten"; it must be one of [session.created session.claims_changed session.ended]`,
		`[{"name":"a",` + rest + `,"types":[]}]`:                                                                          `at /0, which has an empty list`,
		`[{"name":"a",` + rest + `,"clients":["nobody"]}]`:                                                                `at /0/clients/0, which is "nobody"; it must be LATCHKEY_CLIENT_ID`,
		`[{"name":"a",` + rest + `,"format":"xml"}]`:                                                                      `at /0/format, which is "xml"; it must be one of [webhook set]`,
		`[{"name":"a",` + rest + `,"audience":"x"}]`:                                                                      `at /0/audience, which is missing, not usable or for another format`,
		`[{"name":"a","url":"https://crm.example.com","format":"set"}]`:                                                   `at /0/audience, which is missing, not usable or for another format`,
		`[{"name":"a","url":"https://crm.example.com","format":"set","audience":"x","types":["session.claims_changed"]}]`: `at /0/types/0, which is "session.claims_changed"; it must be one of [session.created session.ended]`,
		`[{"name":"a","url":"https://crm.example.com","format":"set","audience":"x","secret":"hunter2\n"}]`:               `at /0/secret, which is not usable; it must be a value for the Authorization header`,
		`[{"name":"a",` + rest + `,"filter":1}]`:                                                                          `at /0/filter, which no endpoint has`,
	} {
		file := writeFile(t, content, t.TempDir(), "events.json")
		r := api(t, settings.With(env{"LATCHKEY_EVENTS_FILE": file}), "serve")
		if r.code == 0 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "LATCHKEY_EVENTS_FILE has a mistake") || !strings.Contains(r.stderr, want) || strings.Contains(r.stderr, "hunter2") {
			t.Errorf("%s: exit code %d: %s", content, r.code, r.stderr)
		}
	}
}
