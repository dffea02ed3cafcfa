package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// The events of sessions on every shard are reported even while another shard is down, and those that
// could not be delivered are listed and sent again whichever shard they are on.
func TestEventsOfShards(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	told := map[string]bool{} // "type session"
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var event struct {
			Type string `json:"type"`
			Data struct {
				Session string `json:"session_id"`
			} `json:"data"`
		}
		if err := json.Unmarshal(body, &event); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		mu.Lock()
		defer mu.Unlock()
		told[event.Type+" "+event.Data.Session] = true
	}))
	t.Cleanup(receiver.Close)
	dir := t.TempDir()
	file := writeFile(t, `[{"name":"crm","url":"`+receiver.URL+`","secret_file":"`+writeFile(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", dir, "crm")+`"}]`, dir, "events.json")
	s := newSharded(t)
	s.settings = s.settings.With(env{"LATCHKEY_EVENTS_FILE": file})
	mustAPI(t, t.TempDir(), s.settings, "migrate")
	api := start(t, t.TempDir(), s.settings)
	isTold := func(what string) bool {
		mu.Lock()
		defer mu.Unlock()
		return told[what]
	}
	end := func(h held) {
		t.Helper()
		if code, body := api.Send(http.MethodDelete, api.Internal+"/v1/sessions/"+h.id, testKey, nil); code != http.StatusNoContent {
			t.Fatalf("%d %s", code, body)
		}
	}
	for i, server := range s.servers { // what happened before is not told
		pool := server.Pool()
		api.Await(fmt.Sprint("events of shard ", i), func() (began bool) {
			return pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM "sessionStoreEventsBegan")`).Scan(&began) == nil && began
		})
	}
	all := s.ofEach(api)
	s.servers[0].Stop()
	end(all[1])
	end(all[2])
	for _, h := range all[1:] {
		api.Await("an event while the first shard is down", func() bool { return isTold("session.ended " + h.id) })
	}
	s.servers[0].Start()
	api.Await("the first shard", func() bool { return api.Current(all[0].pair.AccessToken) == http.StatusOK })
	end(all[0])
	api.Await("its event", func() bool { return isTold("session.ended " + all[0].id) })

	for i, server := range s.servers {
		execute(t, server.URL(), fmt.Sprintf(`
INSERT INTO "sessionStoreDelivery" ("endpoint", "session", "event", "type", "at", "facts", "madeAt", "dueAt", "attempts", "deadAt")
VALUES ('crm', '%[1]s', gen_random_uuid(), 'session.claims_changed', now(), '{"session_id":"%[1]s"}', now(), now(), 34, now())`, all[i].id))
	}
	var list struct {
		Deliveries []struct {
			ID      int64  `json:"id"`
			Session string `json:"session_id"`
		} `json:"deliveries"`
	}
	if err := json.Unmarshal([]byte(mustLine(t, s.settings, "events", "dead", "--json")), &list); err != nil || len(list.Deliveries) != len(all) {
		t.Fatalf("%v, %v", list, err)
	}
	args := []string{"events", "resend"}
	for _, d := range list.Deliveries {
		args = append(args, fmt.Sprint(d.ID))
	}
	if code, body := api.Send(http.MethodGet, api.Internal+"/v1/events/dead", testKey, nil); code != http.StatusOK || strings.Count(body, `"session_id"`) != len(all) {
		t.Errorf("over HTTP: %d %s", code, body)
	}
	if got := mustLine(t, s.settings, args...); got != "sent 3 deliveries again\n" {
		t.Errorf("resend printed %q", got)
	}
	for _, h := range all {
		api.Await("a delivery that was sent again", func() bool { return isTold("session.claims_changed " + h.id) })
	}
}
