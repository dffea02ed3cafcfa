package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// sharded are three databases, of which the latter two are shards.
type sharded struct {
	t        *testing.T
	urls     []string
	servers  []*testdb.Server // those of the databases, if each has its own
	settings env
}

var furtherNames = []string{"east", "west"}

func newSharded(t *testing.T) *sharded {
	t.Helper()
	s := &sharded{t: t}
	for range 3 {
		server := testdb.NewServer(t)
		s.servers, s.urls = append(s.servers, server), append(s.urls, server.URL())
	}
	s.settings = configure(t, s.urls[0]).With(s.shards(1, 1))
	return s
}

// shards is the setting with these weights of the latter two; a negative one leaves the shard out.
func (s *sharded) shards(weights ...float64) env {
	var list []string
	for i, w := range weights {
		if w >= 0 {
			list = append(list, fmt.Sprintf("%s:%g=%s", furtherNames[i], w, s.urls[i+1]))
		}
	}
	return env{"LATCHKEY_SHARDS": strings.Join(list, "\n")}
}

// fails runs a command that is to fail, and returns what it says.
func (s *sharded) fails(settings env, want string, args ...string) {
	s.t.Helper()
	failed := launch(s.t, s.t.TempDir(), settings.With(env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"}), args...)
	if code := failed.Wait(); code == 0 || !strings.Contains(failed.Stderr.String(), want) {
		s.t.Errorf("api %v: code %d, %q; want %q", args, code, failed.Stderr, want)
	}
}

// held is a session with the tokens that its client has.
type held struct {
	id, subject string
	pair        testservice.Pair
}

func (h held) shard() int { return sessionid.Shard(uuid.MustParse(h.id)) }

func (s *sharded) create(api *service, subject string) held {
	s.t.Helper()
	pair := api.CreateSession(testKey, fmt.Sprintf(`{"subject":%q}`, subject))
	return held{pair.Session.ID, subject, pair}
}

// ofEach creates sessions until each shard has one.
func (s *sharded) ofEach(api *service) []held {
	s.t.Helper()
	all := make([]held, len(s.urls))
	for i := 0; slices.ContainsFunc(all, func(h held) bool { return h.id == "" }); i++ {
		h := s.create(api, fmt.Sprintf("user-%d", i))
		all[h.shard()] = h
	}
	return all
}

func (s *sharded) refresh(api *service, h *held) (status int) {
	s.t.Helper()
	status, body := api.Refresh(h.pair.RefreshToken)
	if status == http.StatusOK {
		h.pair = testservice.ParsePair(s.t, body)
	}
	return status
}

func (s *sharded) list(settings env) map[string]string {
	s.t.Helper()
	var list struct {
		Shards []struct {
			Name  string `json:"name"`
			State string `json:"state"`
		} `json:"shards"`
	}
	if err := json.Unmarshal([]byte(mustAPI(s.t, s.t.TempDir(), settings, "shards", "list", "--json")), &list); err != nil {
		s.t.Fatal(err)
	}
	states := map[string]string{}
	for _, shard := range list.Shards {
		states[shard.Name] = shard.State
	}
	return states
}

// The life of an installation with shards: added, down and back, drained, removed.
func TestShards(t *testing.T) {
	t.Parallel()
	s := newSharded(t)
	s.fails(s.settings, "the shard east of LATCHKEY_SHARDS is not known yet: run `")
	added := mustAPI(t, t.TempDir(), s.settings, "migrate")
	for _, want := range []string{"added the shard east with the number 1\n", "added the shard west with the number 2\n"} {
		if !strings.Contains(added, want) {
			t.Errorf("migrate printed %q, want %q", added, want)
		}
	}
	if again := mustAPI(t, t.TempDir(), s.settings, "migrate"); strings.Contains(again, "added") {
		t.Errorf("migrate, again: %q", again)
	}
	swapped := strings.NewReplacer("east:", "x:", "west:", "east:").Replace(s.settings["LATCHKEY_SHARDS"])
	s.fails(s.settings.With(env{"LATCHKEY_SHARDS": strings.Replace(swapped, "x:", "west:", 1)}), "it is not the shard that it is configured as")
	s.fails(s.settings.With(s.shards(1)), "LATCHKEY_SHARDS lacks west")
	s.fails(s.settings.With(env{"LATCHKEY_SHARDS": ""}), "LATCHKEY_SHARDS lacks east, west")
	s.fails(s.settings.With(env{"LATCHKEY_SHARDS": ""}), "LATCHKEY_SHARDS lacks east", "sessions", "list")

	api := start(t, t.TempDir(), s.settings)
	all := s.ofEach(api)
	for i := range all {
		if status := s.refresh(api, &all[i]); status != http.StatusOK {
			t.Errorf("a refresh on shard %d: %d", i, status)
		}
	}
	if got := s.list(s.settings); got["first"] != "open" || got["east"] != "open" || got["west"] != "open" {
		t.Errorf("shards list: %v", got)
	}

	api.Await("metrics of each shard's cleanup", func() bool {
		_, metrics := api.Send(http.MethodGet, api.Internal+"/metrics", "", nil)
		return !slices.ContainsFunc([]string{"first", "east", "west"}, func(shard string) bool {
			return !strings.Contains(metrics, `latchkey_cleanup_last_end_timestamp_seconds{shard="`+shard+`"}`) || !strings.Contains(metrics, `latchkey_cleanup_oldest_left_timestamp_seconds{shard="`+shard+`"}`)
		})
	})
	const down = 1
	s.servers[down].Stop()
	api.Await("the shard's outage", func() bool {
		_, metrics := api.Send(http.MethodGet, api.Internal+"/metrics", "", nil)
		return strings.Contains(metrics, `latchkey_shard_weight{shard="east"}`) && strings.Contains(metrics, `latchkey_shard_revocations_age_seconds{shard="west"}`) && strings.Contains(metrics, `latchkey_shard_up{shard="east"} 0`) && strings.Contains(metrics, `latchkey_shard_up{shard="west"} 1`)
	})
	for i := range all {
		want, wantRefresh := http.StatusOK, http.StatusOK
		if i == down {
			want, wantRefresh = http.StatusServiceUnavailable, http.StatusServiceUnavailable
		}
		if status := api.Current(all[i].pair.AccessToken); status != want {
			t.Errorf("the session on shard %d: %d, want %d", i, status, want)
		}
		if status := s.refresh(api, &all[i]); status != wantRefresh {
			t.Errorf("a refresh on shard %d: %d, want %d", i, status, wantRefresh)
		}
	}
	if status, body := api.Send(http.MethodGet, api.Internal+"/readyz", "", nil); status != http.StatusOK {
		t.Errorf("/readyz: %d %s", status, body)
	}
	since := s.create(api, all[down].subject)
	if since.shard() == down {
		t.Error("a session was created on the shard that is down")
	}
	if status, body := api.Send(http.MethodDelete, api.Internal+"/v1/sessions?subject="+all[down].subject, testKey, nil); status != http.StatusServiceUnavailable {
		t.Errorf("a sign-out everywhere: %d %s", status, body)
	}
	if status := s.refresh(api, &since); status != http.StatusBadRequest {
		t.Errorf("a refresh after a sign-out on the shards that answer: %d", status)
	}
	restarted := start(t, t.TempDir(), s.settings) // another replica, in the outage
	for i := range all {
		if i == down {
			continue
		}
		if status := s.refresh(restarted, &all[i]); status != http.StatusOK {
			t.Errorf("a refresh on shard %d by a replica that started in the outage: %d", i, status)
		}
	}
	s.servers[down].Start()
	api.Await("the end of the sign-out", func() bool { return s.refresh(api, &all[down]) == http.StatusBadRequest })
	restarted.Await("the shard", func() bool { return s.refresh(restarted, &all[down]) == http.StatusBadRequest })
	restarted.End(syscall.SIGTERM)
	all[down] = s.ofEach(api)[down]
	api.Stop()

	drained := s.settings.With(s.shards(0, 1))
	s.fails(s.settings, "takes new sessions", "shards", "remove", "east")
	s.fails(drained, "has live sessions", "shards", "remove", "east")
	api = start(t, t.TempDir(), drained)
	if status := s.refresh(api, &all[down]); status != http.StatusOK {
		t.Errorf("a refresh on a shard that is drained: %d", status)
	}
	for i := range 10 {
		if h := s.create(api, fmt.Sprintf("later-%d", i)); h.shard() == down {
			t.Error("a session was created on a shard that is drained")
		}
	}
	if got := s.list(drained)["east"]; got != "draining" {
		t.Errorf("shards list: %s", got)
	}
	var left struct {
		Sessions []struct {
			ID string `json:"id"`
		} `json:"sessions"`
	}
	if err := json.Unmarshal([]byte(mustAPI(t, t.TempDir(), drained, "sessions", "list", "--json")), &left); err != nil {
		t.Fatal(err)
	}
	for _, session := range left.Sessions {
		if (held{id: session.ID}).shard() == down {
			mustAPI(t, t.TempDir(), drained, "sessions", "revoke", session.ID)
		}
	}
	if got := s.list(drained)["east"]; got != "empty" {
		t.Errorf("shards list: %s", got)
	}
	api.Stop()
	mustAPI(t, t.TempDir(), drained, "shards", "remove", "east")
	without := s.settings.With(s.shards(-1, 1))
	s.servers[down].Stop()
	api = start(t, t.TempDir(), without)
	if status := s.refresh(api, &all[down]); status != http.StatusBadRequest {
		t.Errorf("a refresh of a session of a shard that was removed: %d", status)
	}
	if status := s.refresh(api, &all[2]); status != http.StatusOK {
		t.Errorf("a refresh on the shard that is left: %d", status)
	}
	api.Stop()
}

// Shards that are schemas of one database, next to an installation that has nothing to do with them:
// each has its sessions, its job queue and its cleanup, and is drained and removed.
func TestShardsAsSchemas(t *testing.T) {
	t.Parallel()
	urls := testdb.SchemaURLs(t) // the first is that other installation
	execute(t, urls[0], `CREATE SCHEMA "main"`)
	execute(t, urls[0], `CREATE SCHEMA "west"`)
	at := func(schema string) string {
		return changeURL(t, urls[0], func(u *url.URL) {
			query := u.Query()
			query.Set("search_path", schema)
			u.RawQuery = query.Encode()
		})
	}
	s := &sharded{t: t, urls: []string{at("main"), at("nowhere"), at("west")}}
	s.settings = configure(t, s.urls[0]).With(s.shards(1, 1))
	s.fails(s.settings, "create it first", "migrate")
	s.urls[1] = s.urls[0]
	s.fails(s.settings.With(s.shards(1, 1)), "its database is that of LATCHKEY_DATABASE_URL", "migrate")
	execute(t, urls[0], `CREATE SCHEMA "south"`)
	s.urls[1] = at("south")
	s.settings = s.settings.With(s.shards(1, 1)).With(testservice.Env{"LATCHKEY_CLEANUP_INTERVAL": "0"}) // only the command removes anything
	other := start(t, t.TempDir(), configure(t, urls[0]))
	mustAPI(t, t.TempDir(), s.settings, "migrate")
	others := s.create(other, "ada")

	api := start(t, t.TempDir(), s.settings)
	all := s.ofEach(api)
	for i := range all {
		stolen := all[i]
		for range 2 {
			if status := s.refresh(api, &all[i]); status != http.StatusOK {
				t.Fatalf("a refresh on shard %d: %d", i, status)
			}
			change(t, s.urls[i], `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - interval '1 h', "settledAt" = "settledAt" - interval '1 h'`)
		}
		if status := s.refresh(api, &stolen); status != http.StatusBadRequest {
			t.Errorf("a stolen token on shard %d: %d", i, status)
		}
		api.Await("report of the theft", func() bool {
			return strings.Contains(api.Stderr.String(), "a refresh token was stolen") && strings.Contains(api.Stderr.String(), all[i].id)
		})
	}
	for i := range all {
		change(t, s.urls[i], `UPDATE "sessionStore" SET "revokedAt" = now() - interval '30 days' WHERE "revokedAt" IS NOT NULL`)
	}
	if cleaned := mustAPI(t, t.TempDir(), s.settings, "cleanup"); strings.Count(cleaned, "removed 1 sessions (0 expired, 1 revoked)") != len(all) {
		t.Errorf("cleanup: %q", cleaned)
	}

	drained := s.settings.With(s.shards(1, 0))
	api.Stop()
	api = start(t, t.TempDir(), drained)
	if got := s.list(drained); got["first"] != "open" || got["east"] != "open" || got["west"] != "draining" {
		t.Errorf("shards list: %v", got)
	}
	s.fails(drained, "has live sessions", "shards", "remove", "west")
	mustAPI(t, t.TempDir(), drained, "sessions", "revoke", "--all", "--yes")
	if got := s.list(drained)["west"]; got != "empty" {
		t.Errorf("shards list: %s", got)
	}
	mustAPI(t, t.TempDir(), drained, "shards", "remove", "west")
	if status := s.refresh(other, &others); status != http.StatusOK {
		t.Errorf("a refresh of the other installation: %d", status)
	}
	api.Stop()
	other.Stop()
	if strings.Contains(other.Stderr.String(), "a refresh token was stolen") {
		t.Errorf("the other installation reports thefts that are not its own:\n%s", other.Stderr)
	}
}
