package main_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// The operators' page shows and ends sessions on every shard, and sends jobs again whichever shard
// has them; while a shard is down it says that it is unavailable, and shows no list that looks whole.
func TestConsoleOfShards(t *testing.T) {
	t.Parallel()
	s := newSharded(t)
	s.settings = s.settings.With(env{"LATCHKEY_SERVICE_KEYS": s.settings["LATCHKEY_SERVICE_KEYS"] + ",grace:grace-may-see-and-end-sessions-0001:operator"})
	mustAPI(t, t.TempDir(), s.settings, "migrate")
	api := start(t, t.TempDir(), s.settings)
	all := s.ofEach(api)
	link := strings.TrimSpace(mustLine(t, s.settings.With(env{"LATCHKEY_INTERNAL_ADDR": strings.TrimPrefix(api.Internal, "http://")}), "console"))
	_, path, _ := strings.Cut(link, "/console/")
	cookies := signIn(t, api.Internal+"/console/"+path, nil)
	show := func(path string) (int, string) {
		return api.Send(http.MethodGet, api.Internal+"/console"+path, "", nil, "Cookie", cookies)
	}
	for i, h := range all {
		if status, page := show("/subject?id=" + url.QueryEscape(h.subject)); status != http.StatusOK || !strings.Contains(page, h.id) {
			t.Errorf("the subject on shard %d: %d %s", i, status, page)
		}
		if status, page := show("/sessions/" + h.id); status != http.StatusOK || !strings.Contains(page, h.subject) {
			t.Errorf("the session on shard %d: %d %s", i, status, page)
		}
		if status, page := show("/?q=" + h.subject); status != http.StatusOK || !strings.Contains(page, h.subject) {
			t.Errorf("the search on shard %d: %d %s", i, status, page)
		}
		execute(t, s.servers[i].URL(), fmt.Sprintf(`
INSERT INTO latchkey_river.river_job ("kind", "state", "args", "attempt", "max_attempts", "finalized_at", "queue", "priority", "metadata", "tags")
VALUES ('leak_report_%d', 'discarded', '{}', 1, 1, now(), 'nobody', 1, '{}', '{}')`, i))
	}
	status, now := show("/now")
	if status != http.StatusOK {
		t.Fatalf("now: %d %s", status, now)
	}
	for i := range all {
		if !strings.Contains(now, fmt.Sprintf("leak_report_%d", i)) {
			t.Errorf("the dead job on shard %d is not shown:\n%s", i, now)
		}
	}
	form := regexp.MustCompile(`leak_report_2[\s\S]*?action="([^"]+)"><input type="hidden" name="([^"]+)" value="([^"]+)">`).FindStringSubmatch(now)
	if form == nil {
		t.Fatalf("no form for the job on shard 2:\n%s", now)
	}
	again, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api.Internal+"/console/now", strings.NewReader(url.Values{form[2]: {form[3]}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	again.URL = again.URL.ResolveReference(&url.URL{Path: form[1]})
	again.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	again.Header.Set("Cookie", cookies)
	answer, err := http.DefaultTransport.RoundTrip(again)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if to := answer.Header.Get("Location"); answer.StatusCode != http.StatusSeeOther || !strings.Contains(to, "sent") {
		t.Errorf("sent again: %d, to %q", answer.StatusCode, to)
	}
	if _, now := show("/now"); strings.Contains(now, "leak_report_2") || !strings.Contains(now, "leak_report_1") {
		t.Errorf("after the job was sent again:\n%s", now)
	}
	s.servers[2].Stop()
	for path, want := range map[string]int{
		"/sessions/" + all[1].id: http.StatusOK, "/sessions/" + all[2].id: http.StatusServiceUnavailable,
		"/subject?id=" + all[1].subject: http.StatusServiceUnavailable, "/now": http.StatusServiceUnavailable,
	} {
		if status, page := show(path); status != want {
			t.Errorf("%s while a shard is down: %d %s", path, status, page)
		}
	}
}
