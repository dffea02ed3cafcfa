package main_test

import (
	"encoding/json"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const operatorKey = "dora-is-an-operator-of-tests-000001"

// oldID is that of anOldSession.
const oldID = "01930000-0000-7000-8000-000000000000"

// ends is a service on whose database sessions end.
type ends struct {
	t        *testing.T
	database string
	store    *sessionstore.Store
}

func (e ends) refresh(token, key string) (sessionstore.TokenPair, error) {
	e.t.Helper()
	refreshed, err := e.store.RefreshTokensWithProof(e.t.Context(), token, key, sessionstore.Client{IP: "198.51.100.23", UserAgent: "curl/8.5"})
	return refreshed.Pair, err
}

// stolen ends a session by the kind of theft, and returns its id.
func (e ends) stolen(kind sessionstore.Theft) string {
	e.t.Helper()
	session, first, err := e.store.Create(e.t.Context(), sessionstore.CreateParams{Subject: "ada", Client: sessionstore.Client{IP: "203.0.113.7"}})
	if err != nil {
		e.t.Fatal(err)
	}
	id := session.ID.String()
	rotate := func(token, key string) string {
		e.t.Helper()
		execute(e.t, e.database, `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - interval '1 hour', "settledAt" = now() - interval '1 hour' WHERE "session" = '`+id+`'`)
		pair, err := e.refresh(token, key)
		if err != nil {
			e.t.Fatalf("%s: %v", kind, err)
		}
		return string(pair.RefreshToken)
	}
	key := ""
	if kind == sessionstore.Unproven {
		key = strings.Repeat("A", 43)
	}
	second := rotate(string(first.RefreshToken), key)
	past := `"issuedAt" = "issuedAt" - interval '1 hour'`
	switch kind {
	case sessionstore.Stale:
		past += `, "confirmedAt" = now() - interval '1 hour'`
	case sessionstore.Lockstep:
		past += `, "lateRetries" = ` + strconv.Itoa(sessionstore.DefaultLateRetryLimit) + `, "lateRetryGeneration" = "generation" - 1`
	case sessionstore.Old:
		rotate(second, "")
	case sessionstore.Unproven:
	}
	execute(e.t, e.database, `UPDATE "sessionStoreToken" SET `+past+` WHERE "session" = '`+id+`'`)
	_, err = e.refresh(string(first.RefreshToken), "")
	if reuse, ok := errors.AsType[*sessionstore.ReuseError](err); !ok || reuse.Theft != kind {
		e.t.Fatalf("%s: %v", kind, err)
	}
	return id
}

// Each kind of theft, and the end of a session because of its age, are described alike by the history, the command
// line, the page for operators and events.
func TestEndsAreToldAlike(t *testing.T) {
	t.Parallel()
	told := make(chan map[string]any, 20)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var event struct {
			Type string         `json:"type"`
			Data map[string]any `json:"data"`
		}
		if err != nil || json.Unmarshal(body, &event) != nil {
			t.Errorf("%s, %v", body, err)
		}
		if event.Type == "session.ended" {
			told <- event.Data
		}
	}))
	defer receiver.Close()
	dir, database := t.TempDir(), testdb.URL(t)
	file := writeFile(t, `[{"name":"crm","url":"`+receiver.URL+`","secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}]`, dir, "events.json")
	settings := configure(t, database).With(env{
		"LATCHKEY_EVENTS_FILE": file, "LATCHKEY_SERVICE_KEYS": "backend:" + testKey + ",dora:" + operatorKey + ":operator",
	})
	s, store := start(t, dir, settings), newStore(t, database)
	s.Await("events are noted", func() bool { return queryInt(t, database, `SELECT count(*) FROM "sessionStoreEvents"`) == 1 })

	type end struct{ reason, by, words string }
	want := map[string]end{oldID: {"max_age", "", "It reached the maximum age of sessions"}}
	k := ends{t, database, store}
	for kind, words := range map[sessionstore.Theft]string{
		sessionstore.Stale:    "a refresh token came back after its successor was in use",
		sessionstore.Lockstep: "the refresh token before the newest came back again and again",
		sessionstore.Old:      "a refresh token came back that had been replaced more than once",
		sessionstore.Unproven: "a refresh token came without the key that its session is bound to",
	} {
		want[k.stolen(kind)] = end{"theft", string(kind), words}
	}
	execute(t, database, anOldSession)
	mustLine(t, settings, "cleanup", "--cleanup-session-max-age=1h")

	events := map[string]end{}
	for range want {
		select {
		case data := <-told:
			id, _ := data["session_id"].(string)
			reason, _ := data["reason"].(string)
			by, _ := data["by"].(string)
			events[id] = end{reason, by, want[id].words}
		case <-time.After(testservice.Patience):
			t.Fatalf("only these were reported: %v", events)
		}
	}
	if diff := cmp.Diff(want, events, cmp.AllowUnexported(end{})); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}

	cookies := signIn(t, s.Internal+"/console/sign-in", url.Values{"key": {operatorKey}})
	page := func(path string) string {
		t.Helper()
		status, page := s.Send(http.MethodGet, s.Internal+"/console/"+path, "", nil, "Cookie", cookies)
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, page)
		}
		return html.UnescapeString(page)
	}
	list, thefts := mustLine(t, settings, "sessions", "list", "--ended"), page("thefts")
	for id, e := range want {
		var history struct {
			Ended struct {
				At     time.Time `json:"at"`
				Reason string    `json:"reason"`
				By     string    `json:"by"`
			} `json:"ended"`
		}
		status, document := s.Send(http.MethodGet, s.Internal+"/v1/sessions/"+id+"/history", testKey, nil)
		if err := json.Unmarshal([]byte(document), &history); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d %s", e, status, document)
		}
		if ended := history.Ended; ended.At.IsZero() || ended.Reason != e.reason || ended.By != e.by {
			t.Errorf("history of %s: %s", e, document)
		}
		if shown := mustLine(t, settings, "sessions", "show", id); !strings.Contains(strings.ToLower(shown), strings.ToLower(e.words)) || !strings.Contains(shown, "["+e.reason+"]") {
			t.Errorf("show of %s: %s", e, shown)
		}
		row := ""
		for line := range strings.Lines(list) {
			if strings.HasPrefix(line, id) {
				row = line
			}
		}
		if cells := strings.Fields(row); len(cells) < 2 || !strings.Contains(row, "  "+e.reason+"  ") && cells[len(cells)-1] != e.reason || !strings.Contains(row, e.by) {
			t.Errorf("list of %s:\n%s", e, list)
		}
		if text := page("sessions/" + id); !strings.Contains(text, e.words) {
			t.Errorf("page of %s: %s", e, text)
		}
		if e.reason == "theft" {
			if !strings.Contains(thefts, e.words) {
				t.Errorf("thefts without %s: %s", e, thefts)
			}
			if text := page("thefts/" + id); !strings.Contains(text, e.words) || !strings.Contains(text, "198.51.100.23") || !strings.Contains(text, "203.0.113.7") {
				t.Errorf("theft %s: %s", e, text)
			}
		}
	}
	if strings.Contains(thefts, oldID) {
		t.Errorf("a session that was too old is among the thefts: %s", thefts)
	}
}
