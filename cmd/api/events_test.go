package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// The service tells the endpoints of its file what becomes of sessions, signed with the
// secret in a file of its own.
func TestEventsAreSent(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	told := make(chan string, 10)
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

	// Sessions that are created before the service tells of any are not told.
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
				t.Fatal("nothing was told")
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
}

func TestEventsFileThatIsWrong(t *testing.T) {
	t.Parallel()
	settings := configure(t, "postgres://127.0.0.1:1/none")
	const rest = `"url":"https://crm.example.com","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"`
	for content, want := range map[string]string{
		`{}`:                           `at the whole text, which is of another type; it must be a JSON array`,
		`[{` + rest + `}]`:             `at /0/name, which is missing`,
		`[{"name":" x",` + rest + `}]`: `at /0/name, which is " x"`,
		`[{"name":"a",` + rest + `},{"name":"a",` + rest + `}]`:                                                   `at /1/name, which is "a" again`,
		`[{"name":"a","url":"http://hunter2@crm.example.com","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]`: `at /0/url, which is missing or not an address that events can be sent to`,
		`[{"name":"a","url":"https://crm.example.com"}]`:                                                          `at /0, which has no secret, or a secret and a secret_file`,
		`[{"name":"a","url":"https://crm.example.com","secret":"whsec_hunter2"}]`:                                 `at /0/secret, which is not usable; it must be whsec_`,
		`[{"name":"a","url":"https://crm.example.com","secret_file":"nowhere"}]`:                                  `at /0/secret_file: open nowhere`,
		`[{"name":"a",` + rest + `,"types":["session.forgotten"]}]`:                                               `at /0/types/0, which is "session.forgotten"; it must be one of [session.created session.claims_changed session.ended]`,
		`[{"name":"a",` + rest + `,"types":[]}]`:                                                                  `at /0, which has an empty list`,
		`[{"name":"a",` + rest + `,"clients":["nobody"]}]`:                                                        `at /0/clients/0, which is "nobody"; it must be LATCHKEY_CLIENT_ID`,
		`[{"name":"a",` + rest + `,"filter":1}]`:                                                                  `at /0/filter, which no endpoint has`,
	} {
		file := writeFile(t, content, t.TempDir(), "events.json")
		r := api(t, settings.With(env{"LATCHKEY_EVENTS_FILE": file}), "serve")
		if r.code == 0 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "LATCHKEY_EVENTS_FILE has a mistake") || !strings.Contains(r.stderr, want) || strings.Contains(r.stderr, "hunter2") {
			t.Errorf("%s: exit code %d: %s", content, r.code, r.stderr)
		}
	}
}
